//! An outline while it is searched.

use super::ground::Ground;
use super::plane::{Point, cross, doubled_area};

/// A vertex, and the corner of the border that it stands before: the border up to there belongs
/// to the edge that ends here, the rest to the one that begins here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vertex {
    pub(crate) point: Point,
    pub(crate) anchor: u32,
}

/// A closed outline, clockwise on screen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ring {
    pub(crate) vertices: Vec<Vertex>,
}

impl Ring {
    pub(crate) fn len(&self) -> usize {
        self.vertices.len()
    }

    pub(crate) fn at(&self, index: usize) -> Vertex {
        let count = self.vertices.len();
        self.vertices[if index < count { index } else { index % count }]
    }

    pub(crate) fn points(&self) -> Vec<Point> {
        self.vertices.iter().map(|vertex| vertex.point).collect()
    }

    pub(crate) fn doubled_area(&self) -> i64 {
        doubled_area(&self.points())
    }

    /// Whether the outline turns right on screen at a vertex.
    pub(crate) fn is_convex(&self, index: usize) -> bool {
        let count = self.len();
        let [a, b, c] = [index + count - 1, index, index + 1].map(|index| self.at(index).point);
        cross(a, b, c) > 0
    }

    /// The corner of the border next to the edge that begins at a vertex.
    pub(crate) fn contact(&self, index: usize, ground: &Ground) -> u32 {
        let (from, to) = (self.at(index), self.at(index + 1));
        let depth = |&corner: &u32| cross(from.point, to.point, ground.corner(corner));
        ground
            .chain(from.anchor, to.anchor)
            .min_by_key(depth)
            .unwrap_or(from.anchor)
    }
}
