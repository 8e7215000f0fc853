//! Triangles, sewn together along the edges that two of them share.

use super::union::Union;
use crate::shape::Shape;
use robust::{Coord, orient2d};
use std::collections::BTreeMap;

/// All triangles that have an area.
pub(super) struct Sewn {
    /// Clockwise on screen.
    triangles: Vec<[u32; 3]>,
    /// Corners, three of each triangle in turn, that are the same vertex of a piece.
    corners: Union,
    members: Union,
    /// Whether the side that a corner begins is sewn to that of another triangle.
    seams: Vec<bool>,
}

impl Sewn {
    pub(super) fn of(shape: &Shape) -> Self {
        let triangles = clockwise(shape);
        let mut sewn = Sewn {
            corners: Union::of(3 * triangles.len()),
            members: Union::of(triangles.len()),
            seams: vec![false; 3 * triangles.len()],
            triangles,
        };
        for sides in sides(&sewn.triangles).values() {
            // An edge of three triangles, or of two on the same side of it, hangs nothing together.
            if let &[(one, true), (other, false)] | &[(one, false), (other, true)] = &sides[..] {
                sewn.join(one, other);
            }
        }
        sewn
    }

    fn join(&mut self, one: usize, other: usize) {
        self.corners.join(one, next(other));
        self.corners.join(next(one), other);
        self.members.join(one / 3, other / 3);
        (self.seams[one], self.seams[other]) = (true, true);
    }

    /// The triangles of each piece.
    pub(super) fn pieces(&mut self) -> Vec<Vec<usize>> {
        let mut pieces: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for triangle in 0..self.triangles.len() {
            let first = self.members.first(triangle);
            pieces.entry(first).or_default().push(triangle);
        }
        pieces.into_values().collect()
    }

    /// The corners that are one vertex: which of the shape, and the first of them.
    pub(super) fn fan(&mut self, triangle: usize, corner: usize) -> (u32, usize) {
        let first = self.corners.first(3 * triangle + corner);
        (self.triangles[triangle][corner], first)
    }

    /// Whether a side, from a corner to the next, is inside of a piece.
    pub(super) fn is_seam(&self, triangle: usize, side: usize) -> bool {
        self.seams[3 * triangle + side]
    }
}

/// Exactly: what encloses no area need not have an outline, and everything else has.
fn clockwise(shape: &Shape) -> Vec<[u32; 3]> {
    let at = |vertex: u32| {
        let [x, y] = shape.vertices()[vertex as usize];
        Coord { x, y }
    };
    let wound = |&[a, b, c]: &[u32; 3]| {
        let turn = orient2d(at(a), at(b), at(c));
        match turn == 0.0 {
            true => None,
            false if turn > 0.0 => Some([a, b, c]),
            false => Some([a, c, b]),
        }
    };
    shape.triangles().iter().filter_map(wound).collect()
}

/// Of each edge, the corners that it leaves, and whether it runs from the smaller vertex there.
fn sides(triangles: &[[u32; 3]]) -> BTreeMap<[u32; 2], Vec<(usize, bool)>> {
    let mut sides: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (index, triangle) in triangles.iter().enumerate() {
        for side in 0..3 {
            let (a, b) = (triangle[side], triangle[(side + 1) % 3]);
            let leaving = (3 * index + side, a < b);
            sides.entry([a.min(b), a.max(b)]).or_default().push(leaving);
        }
    }
    sides
}

/// The next corner of the same triangle.
fn next(corner: usize) -> usize {
    corner - corner % 3 + (corner + 1) % 3
}
