//! The connected parts of a silhouette, and what joins them.

use super::apart::Apart;
use super::watch::Watch;
use crate::mask::BinaryMask;
use crate::progress::Stopped;
use std::ops::Range;

/// Blocks in the grid on which islands look for their neighbours.
const MOST_BLOCKS: usize = 1 << 18;

/// Sets that are united.
struct Sets(Vec<u32>);

impl Sets {
    fn root(&mut self, mut of: u32) -> u32 {
        while self.0[of as usize] != of {
            let above = self.0[self.0[of as usize] as usize];
            self.0[of as usize] = above;
            of = above;
        }
        of
    }

    /// Whether they were apart.
    fn unite(&mut self, a: u32, b: u32) -> bool {
        let (a, b) = (self.root(a), self.root(b));
        self.0[a.max(b) as usize] = a.min(b);
        a != b
    }
}

pub(super) struct Run {
    pub(super) y: u32,
    pub(super) columns: Range<u32>,
    island: u32,
}

/// The 8-connected parts of a mask.
pub(crate) struct Islands {
    runs: Vec<Run>,
    /// Cells of each.
    sizes: Vec<u64>,
}

impl Islands {
    pub(crate) fn of(cells: &BinaryMask, watch: &mut Watch<'_>) -> Result<Self, Stopped> {
        let mut runs: Vec<Run> = Vec::new();
        let mut sets = Sets(Vec::new());
        let mut above = 0..0;
        for y in 0..cells.height() as usize {
            watch.proceed_at(y)?;
            let first = runs.len();
            let mut touching = above.clone();
            for columns in cells.runs(y) {
                let columns = columns.start as u32..columns.end as u32;
                let label = runs.len() as u32;
                sets.0.push(label);
                while touching.start < touching.end
                    && runs[touching.start].columns.end < columns.start
                {
                    touching.start += 1;
                }
                let mut other = touching.start;
                while other < touching.end && runs[other].columns.start <= columns.end {
                    sets.unite(other as u32, label);
                    other += 1;
                }
                runs.push(Run {
                    y: y as u32,
                    columns,
                    island: label,
                });
            }
            above = first..runs.len();
        }
        let mut numbers = vec![u32::MAX; runs.len()];
        let mut sizes = Vec::new();
        for (index, run) in runs.iter_mut().enumerate() {
            if index.is_multiple_of(1 << 16) {
                watch.proceed()?;
            }
            let root = sets.root(index as u32) as usize;
            if numbers[root] == u32::MAX {
                numbers[root] = sizes.len() as u32;
                sizes.push(0);
            }
            run.island = numbers[root];
            sizes[run.island as usize] += u64::from(run.columns.end - run.columns.start);
        }
        Ok(Islands { runs, sizes })
    }

    pub(crate) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// The islands, the largest first.
    pub(crate) fn by_size(&self) -> Vec<u32> {
        let mut order: Vec<u32> = (0..self.sizes.len() as u32).collect();
        order.sort_by_key(|&island| std::cmp::Reverse(self.sizes[island as usize]));
        order
    }

    /// The runs of each island, together.
    pub(crate) fn apart(self) -> Apart {
        let mut runs = self.runs;
        // Keeps the order of rows in each island.
        runs.sort_by_key(|run| run.island);
        let starts = (0..=self.sizes.len() as u32)
            .map(|island| runs.partition_point(|run| run.island < island))
            .collect();
        Apart { runs, starts }
    }

    /// Joins all islands by a spanning tree of short lines.
    pub(crate) fn bridge(
        &self,
        cells: &mut BinaryMask,
        watch: &mut Watch<'_>,
    ) -> Result<(), Stopped> {
        if self.count() < 2 {
            return Ok(());
        }
        watch.proceed()?;
        let mut grid = Grid::new(cells);
        let mut pairs = grid.place(&self.runs);
        grid.spread(watch)?;
        pairs.extend(grid.borders());
        pairs.sort_unstable();
        pairs.dedup();
        let mut sets = Sets((0..self.count() as u32).collect());
        for (_, a, b) in pairs {
            if sets.unite(a.island, b.island) {
                draw(cells, a.at, b.at);
            }
        }
        watch.proceed()
    }
}

/// A cell of an island.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Seed {
    at: [i32; 2],
    island: u32,
}

fn squared(a: [i32; 2], b: [i32; 2]) -> i64 {
    let [dx, dy] = [a[0] - b[0], a[1] - b[1]].map(i64::from);
    dx * dx + dy * dy
}

/// For each block of cells, the nearest cell of an island that is known so far.
struct Grid {
    /// The logarithm of a block's side.
    shift: u32,
    width: usize,
    height: usize,
    /// Row by row, with a margin of one block on all sides.
    nearest: Vec<Seed>,
}

/// Of blocks that know no cell yet: farther than any.
const NOWHERE: Seed = Seed {
    at: [i32::MIN / 2; 2],
    island: u32::MAX,
};

/// The square of a distance, and the cells that are so far apart.
type Pair = (i64, Seed, Seed);

impl Grid {
    fn new(cells: &BinaryMask) -> Self {
        let (width, height) = (cells.width() as usize, cells.height() as usize);
        let mut shift = 0;
        while width.div_ceil(1 << shift) * height.div_ceil(1 << shift) > MOST_BLOCKS {
            shift += 1;
        }
        let (width, height) = (width.div_ceil(1 << shift), height.div_ceil(1 << shift));
        Grid {
            shift,
            width,
            height,
            nearest: vec![NOWHERE; (width + 2) * (height + 2)],
        }
    }

    fn at(&self, x: usize, y: usize) -> usize {
        (y + 1) * (self.width + 2) + x + 1
    }

    /// Puts the islands on the grid; those that meet in a block are pairs.
    fn place(&mut self, runs: &[Run]) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for run in runs {
            let row = self.at(0, run.y as usize >> self.shift);
            let (start, end) = (run.columns.start as usize, run.columns.end as usize);
            for column in start >> self.shift..=(end - 1) >> self.shift {
                let x = (column << self.shift).max(start);
                let seed = Seed {
                    at: [x as i32, run.y as i32],
                    island: run.island,
                };
                let place = &mut self.nearest[row + column];
                if *place != NOWHERE && place.island != seed.island {
                    pairs.push((squared(place.at, seed.at), *place, seed));
                } else {
                    *place = seed;
                }
            }
        }
        pairs
    }

    /// Two passes over the rows: each block hears of the nearest cell from its neighbours
    /// (Danielsson, "Euclidean distance mapping", 1980).
    fn spread(&mut self, watch: &mut Watch<'_>) -> Result<(), Stopped> {
        let row = self.width + 2;
        for y in 0..self.height {
            watch.proceed()?;
            for x in 0..self.width {
                let at = self.at(x, y);
                self.hear(x, y, [at - row - 1, at - row, at - row + 1, at - 1]);
            }
            for x in (0..self.width).rev() {
                self.hear(x, y, [self.at(x, y) + 1]);
            }
        }
        for y in (0..self.height).rev() {
            watch.proceed()?;
            for x in (0..self.width).rev() {
                let at = self.at(x, y);
                self.hear(x, y, [at + row - 1, at + row, at + row + 1, at + 1]);
            }
            for x in 0..self.width {
                self.hear(x, y, [self.at(x, y) - 1]);
            }
        }
        Ok(())
    }

    fn hear<const COUNT: usize>(&mut self, x: usize, y: usize, neighbours: [usize; COUNT]) {
        let at = self.at(x, y);
        let block = [x as i32, y as i32];
        let mut nearest = self.nearest[at];
        // A block keeps its own cell, or an island of one block could be forgotten.
        if nearest.at.map(|side| side >> self.shift) == block {
            return;
        }
        let centre = block.map(|side| (side << self.shift) + (1 << self.shift >> 1));
        let mut least = squared(nearest.at, centre);
        for neighbour in neighbours {
            let seed = self.nearest[neighbour];
            let distance = squared(seed.at, centre);
            if distance < least {
                (least, nearest) = (distance, seed);
            }
        }
        self.nearest[at] = nearest;
    }

    /// Pairs of islands whose blocks meet.
    fn borders(&self) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for y in 0..self.height {
            for at in self.at(0, y)..self.at(self.width, y) {
                let a = self.nearest[at];
                for other in [at + 1, at + self.width + 2] {
                    let b = self.nearest[other];
                    if a.island != b.island && a != NOWHERE && b != NOWHERE {
                        let (a, b) = if a < b { (a, b) } else { (b, a) };
                        pairs.push((squared(a.at, b.at), a, b));
                    }
                }
            }
        }
        pairs
    }
}

/// Fills a line of cells that are joined at their sides.
fn draw(cells: &mut BinaryMask, from: [i32; 2], to: [i32; 2]) {
    let [dx, dy] = [to[0] - from[0], to[1] - from[1]];
    let (across, down) = (i64::from(dx.abs()), i64::from(dy.abs()));
    let [mut x, mut y] = from;
    let (mut steps_x, mut steps_y) = (0i64, 0i64);
    loop {
        cells.fill(y as usize, x as usize..x as usize + 1);
        if [x, y] == to {
            return;
        }
        // The step that stays nearer to the line.
        let is_level = (2 * steps_x + 1) * down < (2 * steps_y + 1) * across;
        if steps_x < across && (is_level || steps_y == down) {
            x += dx.signum();
            steps_x += 1;
        } else {
            y += dy.signum();
            steps_y += 1;
        }
    }
}
