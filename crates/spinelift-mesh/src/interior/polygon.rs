//! Where a point lies to an outline.

use crate::cover::{Point, cross, doubled_area};

pub(super) struct Polygon {
    edges: Vec<(Point, Point)>,
    doubled_area: i64,
}

impl Polygon {
    pub(super) fn new(ring: &[Point]) -> Self {
        let next = ring.iter().cycle().skip(1);
        Polygon {
            edges: ring.iter().copied().zip(next.copied()).collect(),
            doubled_area: doubled_area(ring),
        }
    }

    /// In steps of the grid, squared.
    pub(super) fn area(&self) -> f64 {
        self.doubled_area.abs() as f64 / 2.0
    }

    /// Left upper and right lower corner of the bounding box.
    pub(super) fn bounds(&self) -> (Point, Point) {
        let points = || self.edges.iter().map(|edge| edge.0);
        let least = |key: fn(Point) -> i64| points().map(key).min().unwrap_or_default();
        let largest = |key: fn(Point) -> i64| points().map(key).max().unwrap_or_default();
        (
            Point::new(least(|point| point.x), least(|point| point.y)),
            Point::new(largest(|point| point.x), largest(|point| point.y)),
        )
    }

    /// Width and height together.
    pub(super) fn extent(&self) -> f64 {
        let (least, largest) = self.bounds();
        let size = largest.minus(least);
        (size.x + size.y).max(1) as f64
    }

    /// Whether a point lies inside, at least so far from every edge.
    pub(super) fn contains_at(&self, point: Point, distance: f64) -> bool {
        let mut is_inside = false;
        for &(a, b) in &self.edges {
            if squared_distance(point, a, b) < distance * distance {
                return false;
            }
            if (a.y > point.y) != (b.y > point.y) {
                let side = cross(a, b, point);
                is_inside ^= (side > 0) == (b.y > a.y);
            }
        }
        is_inside
    }
}

pub(super) fn squared_distance(point: Point, a: Point, b: Point) -> f64 {
    let (along, to) = (b.minus(a), point.minus(a));
    let length = along.dot(along) as f64;
    let share = (to.dot(along) as f64 / length).clamp(0.0, 1.0);
    let (dx, dy) = (
        to.x as f64 - share * along.x as f64,
        to.y as f64 - share * along.y as f64,
    );
    dx * dx + dy * dy
}
