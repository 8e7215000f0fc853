//! Splitting the edges of an outline without going inside.

use crate::cover::{Point, cross};

/// Every edge in pieces about as long as the spacing. A place that is no point of the grid is
/// moved outwards to one.
pub(super) fn split(ring: &[Point], spacing: f64, axis: Option<i64>) -> Vec<Point> {
    let next = ring.iter().cycle().skip(1);
    let mut split = Vec::with_capacity(2 * ring.len());
    for (&a, &b) in ring.iter().zip(next) {
        split.push(a);
        let mirrored = |point: Point, axis: i64| Point::new(axis - point.x, point.y);
        match axis.filter(|axis| a.x + b.x < *axis) {
            // As on the other side, so that mirror images stay mirror images.
            Some(axis) => {
                let other = places(mirrored(b, axis), mirrored(a, axis), spacing);
                split.extend(other.into_iter().rev().map(|point| mirrored(point, axis)));
            }
            None => split.extend(places(a, b, spacing)),
        }
    }
    split
}

fn places(a: Point, b: Point, spacing: f64) -> Vec<Point> {
    let along = b.minus(a);
    let length = (along.dot(along) as f64).sqrt();
    let pieces = (length / spacing).round().max(1.0) as i64;
    (1..pieces)
        .map(|piece| outward(a, b, piece as f64 / pieces as f64))
        .collect()
}

/// The grid point next to a place on an edge that is not inside of it.
pub(super) fn outward(a: Point, b: Point, share: f64) -> Point {
    let along = b.minus(a);
    let (x, y) = (
        a.x as f64 + share * along.x as f64,
        a.y as f64 + share * along.y as f64,
    );
    let (left, top) = (x.floor() as i64, y.floor() as i64);
    let mut best = (f64::INFINITY, a);
    for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
        let point = Point::new(left + dx, top + dy);
        let (ex, ey) = (point.x as f64 - x, point.y as f64 - y);
        let distance = ex * ex + ey * ey;
        if cross(a, b, point) <= 0 && distance < best.0 {
            best = (distance, point);
        }
    }
    best.1
}
