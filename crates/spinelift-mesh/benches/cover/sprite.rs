//! A sprite, and what is measured on a mesh of it.

use spinelift_mesh::image::{AlphaSink, ImageHeader, decode_alpha};
use spinelift_mesh::progress::Stopped;
use spinelift_mesh::{Limits, Mesh};

pub(crate) struct Sprite {
    pub(crate) bytes: Vec<u8>,
    pub(crate) width: usize,
    pub(crate) height: usize,
    alpha: Vec<u8>,
}

struct Rows(Vec<u8>);

impl AlphaSink for Rows {
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        self.0.extend_from_slice(alpha);
        Ok(())
    }
}

impl Sprite {
    /// `None` where it cannot be read or nothing is visible.
    pub(crate) fn read(bytes: Vec<u8>) -> Option<Self> {
        let limits = Limits::default();
        let header = ImageHeader::read(&bytes, &limits).ok()?;
        let mut rows = Rows(Vec::new());
        decode_alpha(&bytes, &header, &limits, &mut rows).ok()?;
        rows.0.iter().any(|&alpha| alpha > 0).then_some(Sprite {
            bytes,
            width: header.width as usize,
            height: header.height as usize,
            alpha: rows.0,
        })
    }

    /// Centres of the pixels that are not wholly transparent.
    pub(crate) fn centres(&self) -> impl Iterator<Item = [f64; 2]> + '_ {
        let visible = self
            .alpha
            .iter()
            .enumerate()
            .filter(|(_, alpha)| **alpha > 0);
        visible.map(|(index, _)| {
            [index % self.width, index / self.width].map(|place| place as f64 + 0.5)
        })
    }

    pub(crate) fn overdraw(&self, mesh: &Mesh) -> f64 {
        let area: f64 = mesh
            .triangles
            .iter()
            .map(|&triangle| area(mesh, triangle))
            .sum();
        area / self.centres().count() as f64
    }

    /// Visible pixels whose centre is in no triangle.
    pub(crate) fn lost(&self, mesh: &Mesh) -> usize {
        let mut is_covered = vec![false; self.alpha.len()];
        for &triangle in &mesh.triangles {
            let corners = triangle.map(|index| mesh.vertices[index as usize]);
            let range = |axis: usize, side: usize| {
                let places = corners.map(|corner| corner[axis]);
                let least = places.iter().copied().fold(f64::INFINITY, f64::min);
                let largest = places.iter().copied().fold(0.0, f64::max);
                least.floor().max(0.0) as usize..(largest.ceil() as usize).min(side)
            };
            for y in range(1, self.height) {
                for x in range(0, self.width) {
                    let weights = weights(corners, [x as f64 + 0.5, y as f64 + 0.5]);
                    is_covered[y * self.width + x] |= weights.iter().all(|&weight| weight >= -1e-9);
                }
            }
        }
        let pairs = self.alpha.iter().zip(&is_covered);
        pairs
            .filter(|(alpha, is_covered)| **alpha > 0 && !**is_covered)
            .count()
    }
}

fn cross(a: [f64; 2], b: [f64; 2], c: [f64; 2]) -> f64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

fn area(mesh: &Mesh, triangle: [u32; 3]) -> f64 {
    let [a, b, c] = triangle.map(|index| mesh.vertices[index as usize]);
    cross(a, b, c).abs() / 2.0
}

/// Barycentric weights of a point.
pub(crate) fn weights([a, b, c]: [[f64; 2]; 3], point: [f64; 2]) -> [f64; 3] {
    let whole = cross(a, b, c);
    [
        cross(point, b, c) / whole,
        cross(a, point, c) / whole,
        cross(a, b, point) / whole,
    ]
}

/// In degrees.
pub(crate) fn smallest_angle(mesh: &Mesh) -> f64 {
    let at = |index: u32| mesh.vertices[index as usize];
    let corners = mesh
        .triangles
        .iter()
        .flat_map(|&[a, b, c]| [[a, b, c], [b, c, a], [c, a, b]]);
    let angles = corners.map(|corner| {
        let [p, q, r] = corner.map(at);
        let dot = (q[0] - p[0]) * (r[0] - p[0]) + (q[1] - p[1]) * (r[1] - p[1]);
        cross(p, q, r).abs().atan2(dot).to_degrees()
    });
    angles.fold(180.0, f64::min)
}
