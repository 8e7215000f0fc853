//! Following one border.

use crate::mask::BinaryMask;
use crate::progress::{Observer, Stopped, proceed};

/// Steps to the neighbours: east first, then counter-clockwise on screen.
const STEPS: [[i32; 2]; 8] = [
    [1, 0],
    [1, -1],
    [0, -1],
    [-1, -1],
    [-1, 0],
    [-1, 1],
    [0, 1],
    [1, 1],
];
const WEST: u32 = 4;

/// Steps between two questions to the observer.
const STEPS_PER_POLL: usize = 1 << 16;

/// Which neighbours are set, one bit for each direction, by the nine bits of the neighbourhood
/// (three of the row above, of the own row, of the row below).
const fn neighbours(bits: usize) -> u8 {
    let (above, own, below) = (bits & 7, bits >> 3 & 7, bits >> 6 & 7);
    (own >> 2
        | (above >> 2) << 1
        | (above >> 1 & 1) << 2
        | (above & 1) << 3
        | (own & 1) << 4
        | (below & 1) << 5
        | (below >> 1 & 1) << 6
        | (below >> 2) << 7) as u8
}

/// What to do at a cell, by the direction back to the previous one (high bits) and the nine bits
/// of the neighbourhood (low bits): the direction of the next step, and flags.
const MOVES: [u8; 8 * 512] = {
    let mut table = [0; 8 * 512];
    let mut index = 0;
    while index < table.len() {
        let backwards = (index >> 9) as u32;
        let around = neighbours(index & 511);
        // The first neighbour counter-clockwise after the one we came from.
        let turns = around.rotate_right(backwards + 1).trailing_zeros();
        let direction = (backwards + 1 + turns) % 8;
        table[index] = direction as u8;
        // The search went past east: the right neighbour is outside.
        if 1 <= direction && direction <= backwards {
            table[index] |= EXIT;
        }
        if around >> WEST & 1 == 0 {
            table[index] |= ENTRY;
        }
        index += 1;
    }
    table
};
const DIRECTION: u8 = 0b111;
const EXIT: u8 = 1 << 3;
const ENTRY: u8 = 1 << 4;

/// A border that has been followed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Border {
    /// The first cell of its component in raster order.
    start: usize,
    /// Steps from pixel to pixel around it; at least as many as points where it turns.
    pub(super) steps: usize,
    /// Twice the enclosed area.
    pub(super) doubled_area: u64,
}

impl Border {
    pub(super) fn area(&self) -> f64 {
        self.doubled_area as f64 / 2.0
    }
}

/// Follows outer borders, and marks them so that each is followed once.
pub(super) struct Tracer<'a> {
    mask: &'a BinaryMask,
    /// Cells on a border that has been followed, whose left neighbour is not set: one that is met
    /// from outside is always such.
    entries: BinaryMask,
    /// Cells on a border that has been followed, whose right neighbour lies outside of it.
    exits: BinaryMask,
    offsets: [isize; 8],
}

impl<'a> Tracer<'a> {
    pub(super) fn new(mask: &'a BinaryMask) -> Self {
        let row = mask.cells_per_row() as isize;
        Tracer {
            mask,
            entries: mask.blank(),
            exits: mask.blank(),
            offsets: STEPS.map(|[dx, dy]| dx as isize + dy as isize * row),
        }
    }

    /// Whether the border at a cell that was met from outside has been followed.
    pub(super) fn is_traced(&self, cell: usize) -> bool {
        self.entries.is_set(cell)
    }

    /// Where a row that enters a contour at `cell` is outside again.
    pub(super) fn exit_from(&self, cell: usize, end: usize) -> usize {
        self.exits.next_set(cell, end).map_or(end, |exit| exit + 1)
    }

    /// Follows the border that starts at `start`, the first cell of its component in raster
    /// order, and marks it.
    pub(super) fn mark(
        &mut self,
        start: usize,
        observer: &mut dyn Observer,
    ) -> Result<Border, Stopped> {
        self.follow::<true>(start, |_| (), observer)
    }

    /// The points of a border that has been marked, where it changes its direction. The marks are
    /// given up first, so that they and the points do not take memory at the same time.
    pub(super) fn into_points(
        mut self,
        border: &Border,
        observer: &mut dyn Observer,
    ) -> Result<Vec<[i32; 2]>, Stopped> {
        self.entries = BinaryMask::from_fn(0, 0, |_, _| false);
        self.exits = self.entries.clone();
        let mut points = Vec::with_capacity(border.steps);
        self.follow::<false>(border.start, |point| points.push(point), observer)?;
        points.shrink_to_fit();
        Ok(points)
    }

    fn follow<const MARK: bool>(
        &mut self,
        start: usize,
        mut turn: impl FnMut([i32; 2]),
        observer: &mut dyn Observer,
    ) -> Result<Border, Stopped> {
        let mut point = self.mask.pixel(start);
        let around = neighbours(self.neighbourhood(start));
        if around == 0 {
            if MARK {
                self.entries.set(start);
                self.exits.set(start);
            }
            turn(point);
            return Ok(Border {
                start,
                steps: 1,
                doubled_area: 0,
            });
        }
        // The last neighbour: the first one clockwise from west.
        let turns = around.rotate_right(WEST).leading_zeros();
        let to_last = ((WEST + 7 - turns) % 8) as usize;
        let last = self.neighbour(start, to_last);

        let mut doubled_area = 0i64;
        let mut cell = start;
        let mut backwards = to_last;
        let mut previous = to_last ^ 4;
        let mut steps = 0;
        loop {
            steps += 1;
            if steps % STEPS_PER_POLL == 0 {
                proceed(observer.poll())?;
            }
            let next_move = MOVES[backwards << 9 | self.neighbourhood(cell)];
            let direction = usize::from(next_move & DIRECTION);
            if MARK {
                // Without branches, which could not be predicted.
                self.entries.set_if(next_move & ENTRY != 0, cell);
                self.exits.set_if(next_move & EXIT != 0, cell);
            }
            if direction != previous {
                turn(point);
            }
            previous = direction;
            let [dx, dy] = STEPS[direction];
            // The trapezoid between the step and the x axis.
            doubled_area += i64::from((2 * point[1] + dy) * dx);
            point = [point[0] + dx, point[1] + dy];
            let next = self.neighbour(cell, direction);
            if next == start && cell == last {
                break;
            }
            cell = next;
            backwards = direction ^ 4;
        }
        Ok(Border {
            start,
            steps,
            doubled_area: doubled_area.unsigned_abs(),
        })
    }

    fn neighbour(&self, cell: usize, direction: usize) -> usize {
        cell.wrapping_add_signed(self.offsets[direction])
    }

    /// Nine bits around a cell: three of the row above, of the own row, of the row below.
    fn neighbourhood(&self, cell: usize) -> usize {
        let row = self.mask.cells_per_row();
        self.mask.triple(cell - row)
            | self.mask.triple(cell) << 3
            | self.mask.triple(cell + row) << 6
    }
}
