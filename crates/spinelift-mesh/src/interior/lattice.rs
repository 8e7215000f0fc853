//! A hexagonal lattice inside an outline.

use super::polygon::Polygon;
use crate::cover::Point;

/// Points of the lattice that are at least `distance` away from the outline. The lattice is its
/// own mirror image at the axis, where there is one.
pub(super) fn points(
    polygon: &Polygon,
    spacing: f64,
    distance: f64,
    axis: Option<i64>,
) -> Vec<Point> {
    let (least, largest) = polygon.bounds();
    // The middle may lie between two steps of the grid; then nothing lies on the axis.
    let middle = axis.unwrap_or(least.x + largest.x) as f64 / 2.0;
    let down = spacing * 0.866_025_403_784_438_6;
    let rows = ((largest.y - least.y) as f64 / down) as i64 + 1;
    let first = (least.y + largest.y) as f64 / 2.0 - (rows - 1) as f64 * down / 2.0;
    let reach = ((largest.x - least.x) as f64 / spacing) as i64 + 1;
    let mut points = Vec::new();
    for row in 0..rows {
        let y = (first + row as f64 * down).round() as i64;
        let shift = if row % 2 == 0 { 0.0 } else { 0.5 };
        for column in -reach..=reach {
            let away = (column as f64 + shift) * spacing;
            let x = if away < 0.0 {
                (2.0 * middle) as i64 - (middle - away).round() as i64
            } else {
                (middle + away).round() as i64
            };
            let point = Point::new(x, y);
            if polygon.contains_at(point, distance) {
                points.push(point);
            }
        }
    }
    points.sort_unstable();
    points.dedup();
    points
}
