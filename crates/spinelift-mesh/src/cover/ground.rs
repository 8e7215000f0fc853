//! What an outline is fitted to: the border, and what lies inside it.

use super::plane::{Point, doubled_area};
use super::rows::Rows;

/// A border, and what searching an outline around it asks for.
pub(crate) struct Ground {
    pub(crate) corners: Vec<Point>,
    /// Twice the area between the origin and the border up to each corner.
    sums: Vec<i64>,
    pub(crate) doubled_area: i64,
    rows: Rows,
    size: [i64; 2],
}

impl Ground {
    pub(crate) fn new(corners: Vec<Point>, cell: i64, size: [i64; 2]) -> Self {
        let rows = Rows::inside(&corners, cell, size);
        let mut sum = 0;
        let mut sums = Vec::with_capacity(corners.len());
        for (index, corner) in corners.iter().enumerate() {
            sums.push(sum);
            sum += corner.times(corners[(index + 1) % corners.len()]);
        }
        Ground {
            doubled_area: doubled_area(&corners),
            rows,
            size,
            sums,
            corners,
        }
    }

    pub(crate) fn corner(&self, index: u32) -> Point {
        self.corners[index as usize]
    }

    /// The corners from one to another, both included.
    pub(crate) fn chain(&self, from: u32, to: u32) -> impl Iterator<Item = u32> + Clone + '_ {
        let count = self.corners.len() as u32;
        let wrapped = if to < from { to + count } else { to };
        (from..=wrapped).map(move |index| if index < count { index } else { index - count })
    }

    /// Corners from one to another.
    pub(crate) fn steps(&self, from: u32, to: u32) -> u32 {
        let count = self.corners.len() as u32;
        if to < from {
            to + count - from
        } else {
            to - from
        }
    }

    /// Twice the area under the border from one corner to another.
    pub(crate) fn sum(&self, from: u32, to: u32) -> i64 {
        let sum = self.sums[to as usize] - self.sums[from as usize];
        if to < from {
            sum + self.doubled_area
        } else {
            sum
        }
    }

    pub(crate) fn has(&self, point: Point) -> bool {
        (0..=self.size[0]).contains(&point.x) && (0..=self.size[1]).contains(&point.y)
    }

    pub(crate) fn size(&self) -> [i64; 2] {
        self.size
    }

    pub(crate) fn is_crossed_by(&self, a: Point, b: Point) -> bool {
        self.rows.are_crossed_by(a, b)
    }
}
