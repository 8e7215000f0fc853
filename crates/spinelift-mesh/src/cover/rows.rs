//! The silhouette inside its border, row by row: does an edge cross it?

use super::plane::Point;

/// For each row of cells, where the border enters and leaves the silhouette.
#[derive(Debug)]
pub(crate) struct Rows {
    /// Steps in a cell: a power of two.
    cell: i64,
    /// Its logarithm.
    shift: u32,
    offsets: Vec<u32>,
    crossings: Vec<i32>,
    /// For each block of rows, the first and the last of its crossings; large blocks, and small.
    extents: [Vec<[i32; 2]>; 2],
}

/// Rows in a block: large, and small.
const BLOCKS: [usize; 2] = [64, 8];

impl Rows {
    /// The inside of a border whose corners lie on multiples of `cell`, but for those on the
    /// image's edges.
    pub(crate) fn inside(border: &[Point], cell: i64, size: [i64; 2]) -> Self {
        let rows = (size[1] + cell - 1) / cell;
        let mut counts = vec![0u32; rows as usize + 1];
        let downs = || {
            let next = border.iter().cycle().skip(1);
            border.iter().zip(next).filter(|(a, b)| a.y != b.y)
        };
        let span = |a: &Point, b: &Point| {
            let (top, bottom) = (a.y.min(b.y), a.y.max(b.y));
            (top / cell) as usize..((bottom + cell - 1) / cell) as usize
        };
        for (a, b) in downs() {
            span(a, b).for_each(|row| counts[row + 1] += 1);
        }
        for row in 0..rows as usize {
            counts[row + 1] += counts[row];
        }
        let mut crossings = vec![0; counts[rows as usize] as usize];
        let mut free = counts.clone();
        for (a, b) in downs() {
            for row in span(a, b) {
                crossings[free[row] as usize] = a.x as i32;
                free[row] += 1;
            }
        }
        for row in 0..rows as usize {
            crossings[counts[row] as usize..counts[row + 1] as usize].sort_unstable();
        }
        let extent = |first: usize, block: usize| {
            let last = (first + block).min(rows as usize);
            let of_block = &crossings[counts[first] as usize..counts[last] as usize];
            let least = of_block.iter().copied().min().unwrap_or(i32::MAX);
            [least, of_block.iter().copied().max().unwrap_or(i32::MIN)]
        };
        let extents = BLOCKS.map(|block| {
            let firsts = (0..rows as usize).step_by(block);
            firsts.map(|first| extent(first, block)).collect()
        });
        Rows {
            cell,
            shift: cell.trailing_zeros(),
            offsets: counts,
            crossings,
            extents,
        }
    }

    fn row(&self, row: usize) -> &[i32] {
        match self.offsets.get(row..row + 2) {
            Some(&[from, to]) => &self.crossings[from as usize..to as usize],
            _ => &[],
        }
    }

    /// Whether a segment meets the inside. One that runs along the border does not, unless there
    /// are cells on both sides of it.
    pub(crate) fn are_crossed_by(&self, a: Point, b: Point) -> bool {
        if a.y == b.y {
            return self.are_crossed_level(a.x.min(b.x), a.x.max(b.x), a.y);
        }
        let (a, b) = if a.y < b.y { (a, b) } else { (b, a) };
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let first = a.y >> self.shift;
        let last = (b.y + self.cell - 1) >> self.shift;
        // Most edges that cross do so in the middle.
        if last - first > 8 {
            let quarter = (last - first) / 4;
            let samples = [first + 2 * quarter, first + quarter, last - quarter];
            if samples.iter().any(|&row| self.is_crossed_in(row, a, b)) {
                return true;
            }
        }
        // x times dy at the upper end of the row.
        let at = |y: i64| a.x * dy + (y - a.y) * dx;
        let mut upper = a.x * dy;
        let mut row = first;
        'rows: while row < last {
            for (block, extents) in BLOCKS.into_iter().zip(&self.extents) {
                let end = row + block as i64;
                if row & (block as i64 - 1) != 0 || end > last {
                    continue;
                }
                let Some(extent) = extents.get(row as usize / block) else {
                    continue;
                };
                let lower = at((end << self.shift).min(b.y));
                let [least, largest] = extent.map(|x| i64::from(x) * dy);
                if upper.max(lower) <= least || upper.min(lower) >= largest {
                    upper = lower;
                    row = end;
                    continue 'rows;
                }
            }
            let lower = at(((row + 1) << self.shift).min(b.y));
            if self.meets(row, upper.min(lower), upper.max(lower), dy) {
                return true;
            }
            upper = lower;
            row += 1;
        }
        false
    }

    fn is_crossed_in(&self, row: i64, a: Point, b: Point) -> bool {
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let at = |y: i64| a.x * dy + (y - a.y) * dx;
        let upper = at((row * self.cell).max(a.y));
        let lower = at(((row + 1) * self.cell).min(b.y));
        self.meets(row, upper.min(lower), upper.max(lower), dy)
    }

    /// Whether a row has something inside between two places, which are given as x times dy.
    #[inline]
    fn meets(&self, row: i64, low: i64, high: i64, dy: i64) -> bool {
        for pair in self.row(row as usize).chunks_exact(2) {
            if i64::from(pair[0]) * dy >= high {
                return false;
            }
            if low < i64::from(pair[1]) * dy {
                return true;
            }
        }
        false
    }

    fn are_crossed_level(&self, low: i64, high: i64, y: i64) -> bool {
        let below = y >> self.shift;
        let meets = |row: &[i32], low: i64, high: i64| {
            row.chunks_exact(2)
                .any(|pair| i64::from(pair[0]) < high && low < i64::from(pair[1]))
        };
        let here = self.row(below as usize);
        if y & (self.cell - 1) != 0 {
            return meets(here, low, high);
        }
        if below == 0 {
            return false;
        }
        self.row(below as usize - 1).chunks_exact(2).any(|pair| {
            let (low, high) = (low.max(i64::from(pair[0])), high.min(i64::from(pair[1])));
            low < high && meets(here, low, high)
        })
    }
}
