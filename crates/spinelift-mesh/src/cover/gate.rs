//! The last check of a cover, exact and independent of how it was found.

use super::plane::{Point, is_simple};
use super::silhouette::Silhouette;
use crate::mask::BinaryMask;

/// Whether an outline is a simple polygon inside the image that contains every cell as a whole.
pub(crate) fn covers(ring: &[Point], silhouette: &Silhouette) -> bool {
    let [width, height] = silhouette.size;
    let is_inside =
        |point: &Point| (0..=width).contains(&point.x) && (0..=height).contains(&point.y);
    ring.iter().all(is_inside)
        && is_simple(ring)
        && (0..silhouette.cells.height() as usize).all(|row| row_is_covered(ring, silhouette, row))
}

fn row_is_covered(ring: &[Point], silhouette: &Silhouette, row: usize) -> bool {
    let Silhouette { cells, cell, .. } = silhouette;
    if cells.runs(row).next().is_none() {
        return true;
    }
    let (top, bottom) = (row as i64 * cell, (row as i64 + 1) * cell);
    let middle = top + cell / 2;
    // Columns whose cells lie to the right of where an edge crosses the middle of the row.
    let mut crossings = Vec::new();
    let next = ring.iter().cycle().skip(1);
    for (&a, &b) in ring.iter().zip(next) {
        let (a, b) = if a.y <= b.y { (a, b) } else { (b, a) };
        if b.y <= top || a.y >= bottom {
            continue;
        }
        if let Some((first, end)) = cut_columns(a, b, [top, bottom], *cell)
            && has_cell(cells, row, first, end)
        {
            return false;
        }
        if a.y <= middle && middle < b.y {
            let (dx, dy) = (b.x - a.x, b.y - a.y);
            crossings.push(div_up(a.x * dy + (middle - a.y) * dx, dy * cell));
        }
    }
    crossings.sort_unstable();
    let mut outside_from = 0;
    for pair in crossings.chunks(2) {
        if has_cell(cells, row, outside_from, pair[0]) {
            return false;
        }
        outside_from = pair.get(1).copied().unwrap_or(i64::MAX);
    }
    !has_cell(cells, row, outside_from, i64::MAX)
}

/// The columns of cells that an edge (not above its row) runs through the inside of, within a row.
fn cut_columns(a: Point, b: Point, [top, bottom]: [i64; 2], cell: i64) -> Option<(i64, i64)> {
    if a.y == b.y {
        let (low, high) = (a.x.min(b.x), a.x.max(b.x));
        return (a.y > top && a.y < bottom).then(|| (low.div_euclid(cell), div_up(high, cell)));
    }
    let (dx, dy) = (b.x - a.x, b.y - a.y);
    let at = |y: i64| a.x * dy + (y - a.y) * dx;
    let (upper, lower) = (at(a.y.max(top)), at(b.y.min(bottom)));
    let (low, high) = (upper.min(lower), upper.max(lower));
    Some((low.div_euclid(dy * cell), div_up(high, dy * cell)))
}

fn div_up(value: i64, by: i64) -> i64 {
    -(-value).div_euclid(by)
}

fn has_cell(cells: &BinaryMask, row: usize, first: i64, end: i64) -> bool {
    let width = i64::from(cells.width());
    let (first, end) = (first.clamp(0, width), end.clamp(0, width));
    let place = |column: i64| cells.cell(column as usize, row);
    first < end && cells.next_set(place(first), place(end)).is_some()
}
