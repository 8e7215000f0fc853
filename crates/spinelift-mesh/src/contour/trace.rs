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
const NEIGHBOURS: [u8; 512] = {
    let mut table = [0; 512];
    let mut bits = 0;
    while bits < 512 {
        let (above, own, below) = (bits & 7, bits >> 3 & 7, bits >> 6);
        table[bits] = (own >> 2
            | (above >> 2) << 1
            | (above >> 1 & 1) << 2
            | (above & 1) << 3
            | (own & 1) << 4
            | (below & 1) << 5
            | (below >> 1 & 1) << 6
            | (below >> 2) << 7) as u8;
        bits += 1;
    }
    table
};

/// Follows outer borders, and marks them so that each is followed once.
pub(super) struct Tracer<'a> {
    mask: &'a BinaryMask,
    /// Cells on a border that has been followed.
    traced: BinaryMask,
    /// Those of them whose right neighbour lies outside of the contour.
    exits: BinaryMask,
    offsets: [isize; 8],
}

impl<'a> Tracer<'a> {
    pub(super) fn new(mask: &'a BinaryMask) -> Self {
        let row = mask.cells_per_row() as isize;
        Tracer {
            mask,
            traced: mask.blank(),
            exits: mask.blank(),
            offsets: STEPS.map(|[dx, dy]| dx as isize + dy as isize * row),
        }
    }

    pub(super) fn is_traced(&self, cell: usize) -> bool {
        self.traced.is_set(cell)
    }

    /// Where a row that enters a contour at `cell` is outside again.
    pub(super) fn exit_from(&self, cell: usize, end: usize) -> usize {
        self.exits.next_set(cell, end).map_or(end, |exit| exit + 1)
    }

    /// Follows the border that starts at `start`, the first cell of its component in raster
    /// order. Fills `points` and returns twice the enclosed area.
    pub(super) fn trace(
        &mut self,
        start: usize,
        points: &mut Vec<[i32; 2]>,
        observer: &mut dyn Observer,
    ) -> Result<u64, Stopped> {
        points.clear();
        let mut point = self.mask.pixel(start);
        let around = self.neighbours(start);
        if around == 0 {
            self.traced.set(start);
            self.exits.set(start);
            points.push(point);
            return Ok(0);
        }
        // The last neighbour: the first one clockwise from west.
        let turns = around.rotate_right(WEST).leading_zeros();
        let to_last = (WEST + 7 - turns) % 8;
        let last = self.neighbour(start, to_last);

        let mut doubled_area = 0i64;
        let mut cell = start;
        let mut backwards = to_last;
        let mut previous = to_last ^ 4;
        for steps in 1.. {
            if steps % STEPS_PER_POLL == 0 {
                proceed(observer.poll())?;
            }
            // The first neighbour counter-clockwise after the one we came from.
            let turns = self
                .neighbours(cell)
                .rotate_right(backwards + 1)
                .trailing_zeros();
            let direction = (backwards + 1 + turns) % 8;
            self.traced.set(cell);
            // The search went past east: the right neighbour is outside.
            if (1..=backwards).contains(&direction) {
                self.exits.set(cell);
            }
            if direction != previous {
                points.push(point);
            }
            previous = direction;
            let [dx, dy] = STEPS[direction as usize];
            doubled_area +=
                i64::from(point[0]) * i64::from(dy) - i64::from(point[1]) * i64::from(dx);
            point = [point[0] + dx, point[1] + dy];
            let next = self.neighbour(cell, direction);
            if next == start && cell == last {
                break;
            }
            cell = next;
            backwards = direction ^ 4;
        }
        Ok(doubled_area.unsigned_abs())
    }

    fn neighbour(&self, cell: usize, direction: u32) -> usize {
        cell.wrapping_add_signed(self.offsets[direction as usize])
    }

    fn neighbours(&self, cell: usize) -> u8 {
        let row = self.mask.cells_per_row();
        let bits = self.mask.triple(cell - row)
            | self.mask.triple(cell) << 3
            | self.mask.triple(cell + row) << 6;
        NEIGHBOURS[bits as usize]
    }
}
