//! Which pixels a mesh loses, exactly.

use crate::mask::BinaryMask;
use crate::progress::{Observer, Stopped, proceed};
use std::ops::Range;

/// Counts of pixels.
pub(super) struct Coverage {
    pub(super) visible: u64,
    pub(super) lost: u64,
    pub(super) cut: u64,
}

/// An edge of the boundary, its upper end first.
#[derive(Debug, Clone, Copy)]
struct Edge {
    upper: [f64; 2],
    lower: [f64; 2],
}

/// Columns of a row.
type Columns = Range<i64>;

impl Coverage {
    /// Rows are swept from the top, with the edges that reach each of them.
    pub(super) fn of(
        vertices: &[[f64; 2]],
        boundary_edges: &[u32],
        visible: &BinaryMask,
        observer: &mut dyn Observer,
    ) -> Result<Self, Stopped> {
        let mut edges: Vec<Edge> = boundary_edges
            .chunks_exact(2)
            .map(|pair| Edge::between(vertices[pair[0] as usize], vertices[pair[1] as usize]))
            .collect();
        edges.sort_by(|a, b| a.upper[1].total_cmp(&b.upper[1]));
        let mut coming = edges.into_iter().peekable();
        let mut active: Vec<Edge> = Vec::new();
        let mut counts = Coverage {
            visible: 0,
            lost: 0,
            cut: 0,
        };
        for row in 0..visible.height() as usize {
            if row % 64 == 0 {
                proceed(observer.poll())?;
            }
            let (top, bottom) = (row as f64, row as f64 + 1.0);
            active.retain(|edge| edge.lower[1] > top);
            while let Some(edge) = coming.next_if(|edge| edge.upper[1] < bottom) {
                active.push(edge);
            }
            let all = visible.count(row, 0..i64::from(visible.width()));
            if all == 0 {
                continue;
            }
            let outside = outside(&active, top + 0.5);
            let touched = active.iter().filter_map(|edge| edge.columns(top, bottom));
            let not_whole = outside.iter().cloned().chain(touched).collect();
            counts.visible += all;
            counts.lost += count(visible, row, outside);
            counts.cut += count(visible, row, not_whole);
        }
        Ok(counts)
    }
}

/// Visible pixels in a union of columns.
fn count(visible: &BinaryMask, row: usize, mut columns: Vec<Columns>) -> u64 {
    columns.sort_by_key(|part| part.start);
    let mut end = 0;
    let mut sum = 0;
    for part in columns {
        sum += visible.count(row, part.start.max(end)..part.end);
        end = end.max(part.end);
    }
    sum
}

/// The columns whose centres lie outside, at the height of the centres of a row.
fn outside(active: &[Edge], middle: f64) -> Vec<Columns> {
    let mut crossings: Vec<(f64, Edge)> = active
        .iter()
        .filter(|edge| edge.upper[1] <= middle && middle < edge.lower[1])
        .map(|edge| (edge.x_at(middle), *edge))
        .collect();
    crossings.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut from = 0;
    let mut outside = Vec::with_capacity(crossings.len() / 2 + 1);
    for pair in crossings.chunks(2) {
        // A centre on the boundary is inside.
        outside.push(from..pair[0].1.first_column(middle, 0.5));
        from = pair
            .get(1)
            .map_or(from, |leave| leave.1.last_column(middle, 0.5) + 1);
    }
    outside.push(from..i64::MAX);
    outside
}

impl Edge {
    fn between(a: [f64; 2], b: [f64; 2]) -> Self {
        let (upper, lower) = if a[1] <= b[1] { (a, b) } else { (b, a) };
        Edge { upper, lower }
    }

    /// Where it is at a height, rounded.
    fn x_at(&self, y: f64) -> f64 {
        let share = (y - self.upper[1]) / (self.lower[1] - self.upper[1]);
        self.upper[0] + share * (self.lower[0] - self.upper[0])
    }

    /// On which side of the edge a point is: negative to the left, exact.
    fn side(&self, x: f64, y: f64) -> f64 {
        let coord = |point: [f64; 2]| robust::Coord {
            x: point[0],
            y: point[1],
        };
        -robust::orient2d(coord(self.upper), coord(self.lower), coord([x, y]))
    }

    /// The first column whose place `offset` to the right of its left side is on the edge, or to
    /// the right of it.
    fn first_column(&self, y: f64, offset: f64) -> i64 {
        let mut column = (self.x_at(y) - offset).ceil() as i64;
        while self.side(column as f64 + offset, y) < 0.0 {
            column += 1;
        }
        while self.side((column - 1) as f64 + offset, y) >= 0.0 {
            column -= 1;
        }
        column
    }

    /// The last column of which that place is on the edge, or to the left of it.
    fn last_column(&self, y: f64, offset: f64) -> i64 {
        let mut column = (self.x_at(y) - offset).floor() as i64;
        while self.side(column as f64 + offset, y) > 0.0 {
            column -= 1;
        }
        while self.side((column + 1) as f64 + offset, y) <= 0.0 {
            column += 1;
        }
        column
    }

    /// The columns whose squares it runs through the inside of, in the row from `top` to `bottom`.
    fn columns(&self, top: f64, bottom: f64) -> Option<Columns> {
        if self.upper[1] == self.lower[1] {
            let (left, right) = (
                self.upper[0].min(self.lower[0]),
                self.upper[0].max(self.lower[0]),
            );
            let is_inside = self.upper[1] > top && self.upper[1] < bottom;
            return is_inside.then(|| left.floor() as i64..right.ceil() as i64);
        }
        let at = |y: f64| {
            // At its own ends no rounding is needed.
            let end = [self.upper, self.lower].into_iter().find(|end| end[1] == y);
            match end {
                Some(end) => (end[0].floor() as i64, end[0].ceil() as i64),
                None => (self.last_column(y, 0.0), self.first_column(y, 0.0)),
            }
        };
        let (upper, lower) = (at(self.upper[1].max(top)), at(self.lower[1].min(bottom)));
        Some(upper.0.min(lower.0)..upper.1.max(lower.1))
    }
}
