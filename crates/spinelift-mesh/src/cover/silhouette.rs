//! What must be covered, as cells: pixels, halves of pixels, or blocks of them.

use super::gate::covers;
use super::plane::{PIXEL, Point};
use super::watch::Watch;
use crate::mask::BinaryMask;
use crate::progress::Stopped;
use std::ops::Range;

/// A mask of square cells that lie over an image.
#[derive(Debug, Clone)]
pub(crate) struct Silhouette {
    pub(crate) cells: BinaryMask,
    /// Steps of the grid in a cell.
    pub(crate) cell: i64,
    /// The size in steps of the part of the image that is looked at, all of it or a window; the last
    /// cells may reach beyond it.
    pub(crate) size: [i64; 2],
    /// Where that part begins, in steps.
    pub(crate) origin: Point,
}

impl Silhouette {
    /// The mask's pixels, each grown by `halves` half pixels on every side, inside the image.
    pub(crate) fn padded(
        mask: &BinaryMask,
        halves: u32,
        watch: &mut Watch<'_>,
    ) -> Result<Self, Stopped> {
        let size = [mask.width(), mask.height()].map(|side| i64::from(side) * PIXEL);
        if halves == 0 {
            return Ok(Silhouette {
                cells: mask.clone(),
                cell: PIXEL,
                size,
                origin: Point::new(0, 0),
            });
        }
        let scale = 1 + halves % 2;
        let reach = (halves * scale / 2) as usize;
        let (width, height) = (mask.width() * scale, mask.height() * scale);
        let mut cells = BinaryMask::empty(width, height);
        let scale = scale as usize;
        for y in 0..mask.height() as usize {
            watch.proceed_at(y)?;
            for run in mask.runs(y) {
                let from = (run.start * scale).saturating_sub(reach);
                let to = (run.end * scale + reach).min(width as usize);
                for copy in 0..scale {
                    cells.fill(y * scale + copy, from..to);
                }
            }
        }
        cells.grow_up_and_down(reach);
        Ok(Silhouette {
            cells,
            cell: PIXEL / scale as i64,
            size,
            origin: Point::new(0, 0),
        })
    }

    /// The pixels of a mask that lie in the silhouette; a run of them lies in it as a whole or not.
    pub(crate) fn part_of(
        &self,
        mask: &BinaryMask,
        watch: &mut Watch<'_>,
    ) -> Result<BinaryMask, Stopped> {
        let mut part = BinaryMask::empty(mask.width(), mask.height());
        self.each_run_of(mask, watch, |y, run| part.fill(y, run))?;
        Ok(part)
    }

    /// How many pixels of a mask lie in the silhouette.
    pub(crate) fn pixels_of(
        &self,
        mask: &BinaryMask,
        watch: &mut Watch<'_>,
    ) -> Result<u64, Stopped> {
        let mut sum = 0;
        self.each_run_of(mask, watch, |_, run| sum += run.len() as u64)?;
        Ok(sum)
    }

    fn each_run_of(
        &self,
        mask: &BinaryMask,
        watch: &mut Watch<'_>,
        mut found: impl FnMut(usize, Range<usize>),
    ) -> Result<(), Stopped> {
        let scale = (PIXEL / self.cell) as i32;
        let [left, top] = [self.origin.x, self.origin.y].map(|side| (side / self.cell) as i32);
        let rows = (self.cells.height() as i32).div_euclid(scale);
        for y in top / scale..top / scale + rows {
            watch.proceed_at(y as usize)?;
            for run in mask.runs(y as usize) {
                if self
                    .cells
                    .get(run.start as i32 * scale - left, y * scale - top)
                {
                    found(y as usize, run);
                }
            }
        }
        Ok(())
    }

    /// Whether a ring in the image is a simple polygon inside it that contains every cell.
    pub(crate) fn is_covered_by(&self, ring: &[Point]) -> bool {
        let moved = |point: &Point| point.minus(self.origin);
        covers(&ring.iter().map(moved).collect::<Vec<_>>(), self)
    }

    /// A ring that was fitted to the silhouette, at its place in the image.
    pub(crate) fn placed(&self, ring: &[Point]) -> Vec<Point> {
        ring.iter().map(|point| point.plus(self.origin)).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        (0..self.cells.height() as usize).all(|y| self.cells.runs(y).next().is_none())
    }

    pub(crate) fn has_more_runs_than(&self, most: usize) -> bool {
        let rows = 0..self.cells.height() as usize;
        rows.flat_map(|y| self.cells.runs(y)).nth(most).is_some()
    }

    /// The bounding box in the image, clockwise on screen.
    pub(crate) fn rectangle(&self) -> Vec<Point> {
        let (mut least, mut largest) = ([i64::MAX; 2], [0; 2]);
        for y in 0..self.cells.height() as usize {
            for run in self.cells.runs(y) {
                let (left, right) = (run.start as i64, run.end as i64);
                least = [least[0].min(left), least[1].min(y as i64)];
                largest = [largest[0].max(right), largest[1].max(y as i64 + 1)];
            }
        }
        let [left, top] = least.map(|side| side * self.cell);
        let [right, bottom] = [0, 1].map(|axis| (largest[axis] * self.cell).min(self.size[axis]));
        self.placed(&[
            Point::new(left, top),
            Point::new(right, top),
            Point::new(right, bottom),
            Point::new(left, bottom),
        ])
    }

    /// Cells twice as wide and high, each filled where one of its four is.
    pub(crate) fn coarser(&self, watch: &mut Watch<'_>) -> Result<Self, Stopped> {
        let halved = |side: u32| side.div_ceil(2);
        let (width, height) = (halved(self.cells.width()), halved(self.cells.height()));
        let mut cells = BinaryMask::empty(width, height);
        for y in 0..self.cells.height() as usize {
            watch.proceed_at(y)?;
            for run in self.cells.runs(y) {
                cells.fill(y / 2, run.start / 2..run.end.div_ceil(2));
            }
        }
        Ok(Silhouette {
            cells,
            cell: self.cell * 2,
            size: self.size,
            origin: self.origin,
        })
    }
}
