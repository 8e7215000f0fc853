//! Outlines that are their own mirror image.

use super::plane::{Point, cross};
use super::silhouette::Silhouette;
use super::watch::Watch;
use crate::mask::BinaryMask;
use crate::parameters::Symmetry;
use crate::progress::Stopped;
use std::ops::Range;

/// Cells that may differ from their mirror image, of all, for the art to be nearly symmetric.
const MOST_DIFFERENT: f64 = 0.04;

/// Twice the x of the axis in steps, where the outline is to be mirrored: the middle of the art.
pub(crate) fn axis(
    silhouette: &Silhouette,
    symmetry: Symmetry,
    watch: &mut Watch<'_>,
) -> Result<Option<i64>, Stopped> {
    if symmetry == Symmetry::None {
        return Ok(None);
    }
    // One column cannot be folded.
    let Some(columns) = columns(&silhouette.cells).filter(|columns| columns.len() > 1) else {
        return Ok(None);
    };
    let sum = columns.start + columns.end;
    let is_wanted = symmetry == Symmetry::Vertical
        || difference(&silhouette.cells, sum, watch)? <= MOST_DIFFERENT;
    Ok(is_wanted.then_some(sum as i64 * silhouette.cell))
}

fn columns(cells: &BinaryMask) -> Option<Range<usize>> {
    let mut all: Option<Range<usize>> = None;
    for y in 0..cells.height() as usize {
        for run in cells.runs(y) {
            let (start, end) = all.map_or((run.start, run.end), |all| {
                (all.start.min(run.start), all.end.max(run.end))
            });
            all = Some(start..end);
        }
    }
    all
}

/// The share of cells whose mirror image is empty. Column x becomes `sum - 1 - x`.
fn difference(cells: &BinaryMask, sum: usize, watch: &mut Watch<'_>) -> Result<f64, Stopped> {
    let (mut all, mut alone) = (0u64, 0u64);
    for y in 0..cells.height() as usize {
        watch.proceed_at(y)?;
        for run in cells.runs(y) {
            all += run.len() as u64;
            alone += run
                .filter(|&x| !cells.get((sum - 1 - x) as i32, y as i32))
                .count() as u64;
        }
    }
    Ok(alone as f64 / all.max(1) as f64)
}

/// What lies to the right of the axis, and the mirror image of what lies to the left of it, as a
/// silhouette that begins at the axis. Its first column is filled from top to bottom, so that an
/// outline of it has one edge there.
pub(crate) fn half(
    silhouette: &Silhouette,
    axis: i64,
    watch: &mut Watch<'_>,
) -> Result<Silhouette, Stopped> {
    let cell = silhouette.cell;
    let sum = (axis / cell) as usize;
    // Where the axis halves a column, cells of half the width are needed.
    let scale = if sum.is_multiple_of(2) { 1 } else { 2 };
    let middle = sum * scale / 2;
    let (width, height) = (silhouette.cells.width(), silhouette.cells.height());
    let reach = (width as usize * scale).saturating_sub(middle).min(middle);
    let mut cells = BinaryMask::empty(reach as u32, height * scale as u32);
    let mut rows: Option<Range<usize>> = None;
    for y in 0..height as usize {
        watch.proceed_at(y)?;
        for run in silhouette.cells.runs(y) {
            let (start, end) = (run.start * scale, run.end * scale);
            let right = start.max(middle) - middle..end.max(middle) - middle;
            let left = middle - end.min(middle)..middle - start.min(middle);
            for copy in y * scale..(y + 1) * scale {
                for part in [&right, &left] {
                    cells.fill(copy, part.start..part.end.min(reach));
                }
                let first = rows.as_ref().map_or(copy, |rows| rows.start);
                rows = Some(first..copy + 1);
            }
        }
    }
    let on_axis = |y: &usize| cells.get(0, *y as i32);
    let bounds = rows.unwrap_or_default();
    let first = bounds.clone().find(on_axis).unwrap_or(bounds.start);
    let last = bounds.clone().rfind(on_axis).unwrap_or(first);
    for y in first..=last {
        cells.fill(y, 0..1);
    }
    Ok(Silhouette {
        cells,
        cell: cell / scale as i64,
        size: [reach as i64 * cell / scale as i64, silhouette.size[1]],
        origin: Point::new(0, 0),
    })
}

/// The whole outline from its right half, of which one edge lies on the axis.
pub(crate) fn unfold(half: &[Point], axis: i64) -> Option<Vec<Point>> {
    let count = half.len();
    // Clockwise on screen, the edge on the axis goes up; after it the half begins.
    let start = (0..count).find(|&index| {
        let before = half[(index + count - 1) % count];
        half[index].x == 0 && before.x == 0 && half[index].y < before.y
    })?;
    let right: Vec<Point> = (0..count)
        .map(|step| half[(start + step) % count])
        .collect();
    let middle = axis / 2;
    let placed = |point: &Point| Point::new(middle + point.x, point.y);
    let mirrored = |point: &Point| Point::new(axis - middle - point.x, point.y);
    let off_axis = |point: &&Point| point.x > 0;
    let mut ring: Vec<Point> = right.iter().map(placed).collect();
    ring.extend(right.iter().rev().filter(off_axis).map(mirrored));
    let straight = |index: &usize| {
        let count = ring.len();
        let [a, b, c] = [count - 1, 0, 1].map(|offset| ring[(index + offset) % count]);
        cross(a, b, c) != 0
    };
    Some(
        (0..ring.len())
            .filter(straight)
            .map(|index| ring[index])
            .collect(),
    )
}
