//! The outer border of a silhouette, along the corners of its cells.

use super::plane::Point;
use super::silhouette::Silhouette;
use crate::mask::BinaryMask;

/// Fills one cell wherever two touch at a corner alone, so that no border touches itself. Rows
/// are done from the top, and what is filled lies in the row below: one pass is enough.
pub(crate) fn fill_pinches(cells: &mut BinaryMask) {
    for y in 0..(cells.height() as usize).saturating_sub(1) {
        let runs: Vec<_> = cells.runs(y).collect();
        for run in runs {
            let below = |x: usize| cells.get(x as i32, y as i32 + 1);
            let right = below(run.end) && !below(run.end - 1);
            let left = run.start > 0 && below(run.start - 1) && !below(run.start);
            if right {
                cells.fill(y + 1, run.end - 1..run.end);
            }
            if left {
                cells.fill(y + 1, run.start..run.start + 1);
            }
        }
    }
}

/// The corners of the outer border of the component that has the first cell in raster order,
/// clockwise on screen; `None` when it has more than `most` corners, or there is none.
pub(crate) fn trace(silhouette: &Silhouette, most: usize) -> Option<Vec<Point>> {
    let cells = &silhouette.cells;
    let start = first(cells)?;
    let corner = |at: [i32; 2]| {
        Point::new(
            (i64::from(at[0]) * silhouette.cell).min(silhouette.size[0]),
            (i64::from(at[1]) * silhouette.cell).min(silhouette.size[1]),
        )
    };
    // East, south, west, north; and for each the cells ahead to the left and to the right.
    const STEPS: [[i32; 2]; 4] = [[1, 0], [0, 1], [-1, 0], [0, -1]];
    const LEFT: [[i32; 2]; 4] = [[0, -1], [0, 0], [-1, 0], [-1, -1]];
    const RIGHT: [[i32; 2]; 4] = [[0, 0], [-1, 0], [-1, -1], [0, -1]];
    let (mut at, mut heading) = (start, 0);
    let mut corners = Vec::new();
    loop {
        let filled = |offset: [i32; 2]| cells.get(at[0] + offset[0], at[1] + offset[1]);
        let turned = if filled(LEFT[heading]) {
            (heading + 3) % 4
        } else if filled(RIGHT[heading]) {
            heading
        } else {
            (heading + 1) % 4
        };
        if turned != heading || at == start {
            if at == start && !corners.is_empty() {
                return Some(corners);
            }
            corners.push(corner(at));
            if corners.len() > most {
                return None;
            }
            heading = turned;
        }
        at = [at[0] + STEPS[heading][0], at[1] + STEPS[heading][1]];
    }
}

fn first(cells: &BinaryMask) -> Option<[i32; 2]> {
    (0..cells.height() as usize).find_map(|y| {
        let run = cells.runs(y).next()?;
        Some([run.start as i32, y as i32])
    })
}
