//! The hole that a new vertex makes.

use crate::triangulation::predicates::{Adaptive, Point, Predicates};

/// Triangles that a new vertex replaces.
#[derive(Default)]
pub(super) struct Cavity {
    pub(super) triangles: Vec<u32>,
    pub(super) rim: Vec<Side>,
    /// Which triangles belong to the current cavity: those that bear its number.
    marks: Vec<u32>,
    number: u32,
}

/// A side of the cavity, and the side behind it.
#[derive(Clone, Copy)]
pub(super) struct Side {
    pub(super) from: u32,
    pub(super) to: u32,
    pub(super) behind: u32,
}

impl Cavity {
    pub(super) fn restart(&mut self, triangle: u32) {
        self.number += 1;
        self.triangles.clear();
        self.rim.clear();
        self.add(triangle);
    }

    pub(super) fn add(&mut self, triangle: u32) {
        if self.marks.len() <= triangle as usize {
            self.marks.resize(2 * (triangle as usize + 1), 0);
        }
        self.marks[triangle as usize] = self.number;
        self.triangles.push(triangle);
    }

    pub(super) fn contains(&self, triangle: u32) -> bool {
        self.marks.get(triangle as usize) == Some(&self.number)
    }

    pub(super) fn leave_out(&mut self, from: u32, to: u32) {
        self.rim.retain(|side| (side.from, side.to) != (from, to));
    }

    /// Whether every side of the rim forms a proper triangle with the point.
    pub(super) fn sees_its_rim(&self, points: &[Point], point: Point) -> bool {
        let corner = |index: u32| points[index as usize];
        self.rim
            .iter()
            .all(|side| Adaptive.orientation(point, corner(side.from), corner(side.to)) > 0.0)
    }
}
