//! How far a bent mesh is from bent art.

use crate::sprite::{Sprite, weights};
use spinelift_mesh::Mesh;
use std::f64::consts::{FRAC_PI_3, TAU};

const MOST_SAMPLES: usize = 1500;

/// Root mean square distances, in per cent of the diagonal of the samples' box.
pub(crate) struct Errors {
    pub(crate) bend: f64,
    pub(crate) wave: f64,
}

/// X runs along the principal axis of the samples, Y across, both from their mean.
struct Frame {
    mean: [f64; 2],
    along: [f64; 2],
    length: f64,
}

impl Frame {
    fn of(samples: &[[f64; 2]]) -> Self {
        let count = samples.len() as f64;
        let mean = [0, 1].map(|axis| samples.iter().map(|point| point[axis]).sum::<f64>() / count);
        let moment = |i: usize, j: usize| {
            samples
                .iter()
                .map(|point| (point[i] - mean[i]) * (point[j] - mean[j]))
                .sum::<f64>()
        };
        let angle = 0.5 * (2.0 * moment(0, 1)).atan2(moment(0, 0) - moment(1, 1));
        let mut frame = Frame {
            mean,
            along: [angle.cos(), angle.sin()],
            length: 1.0,
        };
        let places = samples.iter().map(|&point| frame.local(point)[0]);
        let least = places.clone().fold(f64::INFINITY, f64::min);
        frame.length = (places.fold(f64::NEG_INFINITY, f64::max) - least).max(1e-9);
        frame
    }

    fn local(&self, point: [f64; 2]) -> [f64; 2] {
        let [dx, dy] = [point[0] - self.mean[0], point[1] - self.mean[1]];
        let [ux, uy] = self.along;
        [dx * ux + dy * uy, dy * ux - dx * uy]
    }

    /// Two bones with linear weights, the second turned by 60°.
    fn bent(&self, point: [f64; 2]) -> [f64; 2] {
        let [x, y] = self.local(point);
        let share = ((x + 0.2 * self.length) / (0.4 * self.length)).clamp(0.0, 1.0);
        let t = share * share * (3.0 - 2.0 * share);
        let (sin, cos) = FRAC_PI_3.sin_cos();
        let turned = [x * cos - y * sin, x * sin + y * cos];
        [(1.0 - t) * x + t * turned[0], (1.0 - t) * y + t * turned[1]]
    }

    fn waved(&self, point: [f64; 2]) -> [f64; 2] {
        let [x, y] = self.local(point);
        [
            x,
            y + 0.06 * self.length * (TAU * 1.5 * x / self.length).sin(),
        ]
    }
}

pub(crate) fn errors(sprite: &Sprite, mesh: &Mesh) -> Errors {
    let samples = samples(sprite);
    let frame = Frame::of(&samples);
    let extent = |axis: usize| {
        let places = samples.iter().map(|point| point[axis]);
        let least = places.clone().fold(f64::INFINITY, f64::min);
        places.fold(f64::NEG_INFINITY, f64::max) - least
    };
    let diagonal = extent(0).hypot(extent(1));
    let places: Vec<_> = samples.iter().map(|&sample| place(mesh, sample)).collect();
    let error = |warp: &dyn Fn([f64; 2]) -> [f64; 2]| {
        let vertices: Vec<[f64; 2]> = mesh.vertices.iter().map(|&vertex| warp(vertex)).collect();
        let squares = samples
            .iter()
            .zip(&places)
            .map(|(&sample, (triangle, weights))| {
                let by_mesh = [0, 1].map(|axis| {
                    let corner = |i: usize| weights[i] * vertices[triangle[i] as usize][axis];
                    corner(0) + corner(1) + corner(2)
                });
                let exact = warp(sample);
                (by_mesh[0] - exact[0]).powi(2) + (by_mesh[1] - exact[1]).powi(2)
            });
        (squares.sum::<f64>() / samples.len() as f64).sqrt() / diagonal * 100.0
    };
    Errors {
        bend: error(&|point| frame.bent(point)),
        wave: error(&|point| frame.waved(point)),
    }
}

/// Centres of visible pixels, drawn with a fixed seed.
fn samples(sprite: &Sprite) -> Vec<[f64; 2]> {
    let mut centres: Vec<[f64; 2]> = sprite.centres().collect();
    let mut state = 1u64;
    let count = centres.len().min(MOST_SAMPLES);
    for index in 0..count {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        let other = index + (state >> 33) as usize % (centres.len() - index);
        centres.swap(index, other);
    }
    centres.truncate(count);
    centres
}

/// The triangle that a point lies in, or else is nearest to in weights, and its weights there.
fn place(mesh: &Mesh, point: [f64; 2]) -> ([u32; 3], [f64; 3]) {
    let mut best = ([0; 3], [f64::NEG_INFINITY; 3]);
    let least = |weights: &[f64; 3]| weights.iter().copied().fold(f64::INFINITY, f64::min);
    for &triangle in &mesh.triangles {
        let weights = weights(triangle.map(|index| mesh.vertices[index as usize]), point);
        if least(&weights) > least(&best.1) {
            best = (triangle, weights);
        }
    }
    best
}
