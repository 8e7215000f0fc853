//! Islands that each have an outline of their own.

use super::islands::Run;
use super::plane::{PIXEL, Point};
use super::silhouette::Silhouette;
use crate::mask::BinaryMask;
use std::ops::Range;

/// Pixels around an island that its outline may use in any case. Beyond, it may go as far as the
/// island is wide or high, whichever is more.
const LEAST_MARGIN: usize = 8;

/// The runs of cells of all islands, island by island.
pub(crate) struct Apart {
    pub(super) runs: Vec<Run>,
    /// Where each island's runs begin; the last entry is their end.
    pub(super) starts: Vec<usize>,
}

impl Apart {
    /// Some islands alone, in a window of the image around them: with hundreds of them, nothing
    /// may take a time that grows with the image for each.
    pub(crate) fn only(&self, islands: &[u32], whole: &Silhouette) -> Silhouette {
        let window = self.window(islands, whole);
        let [columns, rows] = &window;
        let mut cells = BinaryMask::empty(columns.len() as u32, rows.len() as u32);
        for run in islands.iter().flat_map(|&island| self.runs_of(island)) {
            let at = |column: u32| column as usize - columns.start;
            cells.fill(
                run.y as usize - rows.start,
                at(run.columns.start)..at(run.columns.end),
            );
        }
        let cell = whole.cell;
        let side = |axis: usize| (window[axis].len() as i64) * cell;
        Silhouette {
            cells,
            cell,
            size: [side(0), side(1)],
            origin: Point::new(columns.start as i64 * cell, rows.start as i64 * cell),
        }
    }

    fn runs_of(&self, island: u32) -> &[Run] {
        &self.runs[self.starts[island as usize]..self.starts[island as usize + 1]]
    }

    /// Columns and rows of whole pixels.
    fn window(&self, islands: &[u32], whole: &Silhouette) -> [Range<usize>; 2] {
        let (mut least, mut largest) = ([u32::MAX; 2], [0; 2]);
        for run in islands.iter().flat_map(|&island| self.runs_of(island)) {
            let Range { start, end } = run.columns;
            least = [least[0].min(start), least[1].min(run.y)];
            largest = [largest[0].max(end), largest[1].max(run.y + 1)];
        }
        let scale = (PIXEL / whole.cell) as usize;
        let extent = (0..2).map(|axis| (largest[axis] - least[axis]) as usize);
        let margin = extent.fold(LEAST_MARGIN * scale, usize::max);
        let image = [whole.cells.width(), whole.cells.height()];
        [0, 1].map(|axis| {
            let start = (least[axis] as usize).saturating_sub(margin) / scale * scale;
            let end = (largest[axis] as usize + margin).next_multiple_of(scale);
            start..end.min(image[axis] as usize)
        })
    }
}
