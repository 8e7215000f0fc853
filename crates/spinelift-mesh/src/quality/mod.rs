//! How good a mesh is, in numbers: what it loses, what it wastes, and how its triangles are shaped.

mod angles;
mod coverage;

use crate::mask::BinaryMask;
use crate::progress::{Observer, Stopped};
pub(crate) use angles::degrees;
use angles::smallest_angle;
use coverage::Coverage;
use serde::Serialize;

/// Vertices nearer than this, in pixels, are counted as near-duplicates; they break automatic
/// weights.
pub const MIN_DISTANCE: f64 = 0.25;

/// A triangle with an angle below this, in degrees, is thin.
pub const THIN_ANGLE: f64 = 10.0;

/// Measures of a mesh. What there is nothing to measure for is `None`.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Quality {
    /// Pixels that are not wholly transparent.
    pub visible_pixels: u64,
    /// Those whose centre is outside of the mesh; exact.
    pub pixels_lost: u64,
    /// Those that are not inside as whole squares; exact.
    pub pixels_cut: u64,
    /// The share of visible pixels that are not lost.
    pub coverage: f64,
    /// Area of the mesh in square pixels.
    pub area: f64,
    /// Area of the mesh over the number of visible pixels.
    pub overdraw: Option<f64>,
    /// Number of vertices.
    pub vertices: usize,
    /// Number of triangles.
    pub triangles: usize,
    /// The smallest angle, in degrees.
    pub min_angle: Option<f64>,
    /// The median over the triangles of their smallest angles, in degrees.
    pub median_angle: Option<f64>,
    /// Area of the smallest triangle, in square pixels.
    pub smallest_triangle: Option<f64>,
    /// Pairs of vertices nearer than [`MIN_DISTANCE`].
    pub near_duplicate_vertices: usize,
    /// Of the triangles with an angle below [`THIN_ANGLE`], the area of the one with the longest
    /// edge.
    pub longest_thin_triangle: Option<f64>,
}

impl Quality {
    /// Measures triangles and their boundary (pairs of vertices) against the visible pixels.
    pub(crate) fn of(
        vertices: &[[f64; 2]],
        triangles: &[[u32; 3]],
        boundary_edges: &[u32],
        visible: &BinaryMask,
        observer: &mut dyn Observer,
    ) -> Result<Self, Stopped> {
        let coverage = Coverage::of(vertices, boundary_edges, visible, observer)?;
        let shapes: Vec<Shape> = triangles
            .iter()
            .map(|triangle| Shape::of(triangle.map(|index| vertices[index as usize])))
            .collect();
        let mut angles: Vec<f64> = shapes.iter().map(|shape| shape.angle).collect();
        angles.sort_by(f64::total_cmp);
        let area = shapes.iter().map(|shape| shape.area).sum::<f64>();
        let longest_thin = shapes
            .iter()
            .filter(|shape| shape.angle < THIN_ANGLE)
            .max_by(|a, b| a.longest.total_cmp(&b.longest));
        let pixels = coverage.visible;
        let share = |part: u64| part as f64 / pixels as f64;
        Ok(Quality {
            visible_pixels: pixels,
            pixels_lost: coverage.lost,
            pixels_cut: coverage.cut,
            coverage: if pixels == 0 {
                1.0
            } else {
                share(pixels - coverage.lost)
            },
            area,
            overdraw: (pixels > 0).then(|| area / pixels as f64),
            vertices: vertices.len(),
            triangles: triangles.len(),
            min_angle: angles.first().copied(),
            median_angle: angles.get(angles.len() / 2).copied(),
            smallest_triangle: shapes.iter().map(|shape| shape.area).min_by(f64::total_cmp),
            near_duplicate_vertices: near_pairs(vertices),
            longest_thin_triangle: longest_thin.map(|shape| shape.area),
        })
    }
}

struct Shape {
    area: f64,
    angle: f64,
    longest: f64,
}

impl Shape {
    fn of([a, b, c]: [[f64; 2]; 3]) -> Self {
        let length = |p: [f64; 2], q: [f64; 2]| {
            let [dx, dy] = [p[0] - q[0], p[1] - q[1]];
            (dx * dx + dy * dy).sqrt()
        };
        let doubled = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
        Shape {
            area: doubled.abs() / 2.0,
            angle: smallest_angle([a, b, c]),
            longest: length(a, b).max(length(b, c)).max(length(c, a)),
        }
    }
}

/// Pairs of vertices nearer than [`MIN_DISTANCE`], by a sweep over x.
fn near_pairs(vertices: &[[f64; 2]]) -> usize {
    let mut sorted = vertices.to_vec();
    sorted.sort_by(|a, b| a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1])));
    let is_near = |a: [f64; 2], b: [f64; 2]| {
        let [dx, dy] = [a[0] - b[0], a[1] - b[1]];
        dx * dx + dy * dy < MIN_DISTANCE * MIN_DISTANCE
    };
    let ahead = |(index, &point): (usize, &[f64; 2])| {
        sorted[index + 1..]
            .iter()
            .take_while(|other| other[0] - point[0] < MIN_DISTANCE)
            .filter(|&&other| is_near(point, other))
            .count()
    };
    sorted.iter().enumerate().map(ahead).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quality(vertices: &[[f64; 2]], triangles: &[[u32; 3]], visible: &BinaryMask) -> Quality {
        let edges = crate::edges::Edges::of(triangles, vertices.len());
        Quality::of(vertices, triangles, &edges.boundary, visible, &mut ()).expect("not stopped")
    }

    #[test]
    fn a_triangle_over_a_square_of_pixels() {
        let visible = BinaryMask::from_fn(4, 4, |_, _| true);
        let found = quality(
            &[[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]],
            &[[0, 1, 2]],
            &visible,
        );
        // The centres on the long edge are inside; their squares and those beyond are not.
        let counts = (found.visible_pixels, found.pixels_lost, found.pixels_cut);
        assert_eq!(counts, (16, 6, 10));
        assert_eq!((found.coverage, found.area), (0.625, 8.0));
        assert_eq!(found.overdraw, Some(0.5));
        let angle = found.min_angle.expect("there is a triangle");
        assert!((angle - 45.0).abs() < 1e-12, "{angle}");
        assert_eq!(found.longest_thin_triangle, None);
    }

    #[test]
    fn near_duplicates_and_thin_triangles_are_found() {
        let visible = BinaryMask::from_fn(9, 9, |_, _| false);
        let vertices = [[0.0, 0.0], [9.0, 0.0], [9.0, 0.125], [0.0, 9.0]];
        let found = quality(&vertices, &[[0, 1, 2], [0, 2, 3]], &visible);
        assert_eq!(found.near_duplicate_vertices, 1);
        assert_eq!(found.longest_thin_triangle, Some(0.5625));
        assert_eq!((found.coverage, found.overdraw), (1.0, None));
    }
}
