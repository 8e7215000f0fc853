//! One bit a pixel.

use std::ops::Range;
use wide::u8x64;

/// Bits to the left of the first pixel: a pixel's neighbours can always be read.
const MARGIN: usize = 8;

/// A binary mask, one bit a pixel, with a margin of background on all sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryMask {
    width: usize,
    height: usize,
    /// Bytes in a row; pixel (x, y) is bit `MARGIN + x` of row `y + 1`, least bit first.
    stride: usize,
    bits: Vec<u8>,
    rows: usize,
}

impl BinaryMask {
    pub(super) fn with_rows_to_come(width: u32, height: u32) -> Self {
        let (width, height) = (width as usize, height as usize);
        // Room for reading 16 bits at any pixel, in whole words.
        let stride = (MARGIN + width + 16).div_ceil(64) * 8;
        BinaryMask {
            width,
            height,
            stride,
            bits: vec![0; stride * (height + 2)],
            rows: 0,
        }
    }

    /// Makes a mask from a function that tells which pixels are foreground.
    #[must_use]
    pub fn from_fn(width: u32, height: u32, mut foreground: impl FnMut(u32, u32) -> bool) -> Self {
        let mut mask = Self::with_rows_to_come(width, height);
        for y in 0..height {
            for x in 0..width {
                if foreground(x, y) {
                    let (byte, bit) = mask.position(x as usize, y as usize);
                    mask.bits[byte] |= 1 << bit;
                }
            }
        }
        mask.rows = mask.height;
        mask
    }

    /// A mask of background.
    pub(crate) fn empty(width: u32, height: u32) -> Self {
        let mut mask = Self::with_rows_to_come(width, height);
        mask.rows = mask.height;
        mask
    }

    /// The runs of foreground in a row, as ranges of x.
    pub(crate) fn runs(&self, y: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        let (start, end) = (self.cell(0, y), self.cell(self.width, y));
        let mut from = start;
        std::iter::from_fn(move || {
            let first = self.next_set(from, end)?;
            let last = self.next_clear(first, end);
            from = last;
            Some(first - start..last - start)
        })
    }

    /// Foreground in some columns of a row; those outside of the image have none.
    pub(crate) fn count(&self, y: usize, columns: Range<i64>) -> u64 {
        let width = self.width as i64;
        let [from, to] = [columns.start, columns.end]
            .map(|column| self.cell(column.clamp(0, width) as usize, y));
        if from >= to {
            return 0;
        }
        let (first, last) = (from / 64, (to - 1) / 64);
        let mut count = 0;
        for word in first..=last {
            let mut bits = self.word(word);
            if word == first {
                bits &= u64::MAX << (from % 64);
            }
            if word == last {
                bits &= u64::MAX >> (63 - (to - 1) % 64);
            }
            count += u64::from(bits.count_ones());
        }
        count
    }

    /// Foreground of all rows.
    pub(crate) fn area(&self) -> u64 {
        let columns = 0..self.width as i64;
        (0..self.height)
            .map(|y| self.count(y, columns.clone()))
            .sum()
    }

    /// Makes a part of a row foreground.
    pub(crate) fn fill(&mut self, y: usize, columns: Range<usize>) {
        let (mut from, to) = (self.cell(columns.start, y), self.cell(columns.end, y));
        while from < to {
            let byte = from / 8;
            let end = to.min((byte + 1) * 8);
            self.bits[byte] |= (0xff << (from % 8)) as u8 & (0xff >> ((byte + 1) * 8 - end)) as u8;
            from = end;
        }
    }

    /// Makes foreground of what has foreground at most `reach` rows above or below it.
    pub(crate) fn grow_up_and_down(&mut self, reach: usize) {
        let mut reached = 0;
        while reached < reach {
            let step = (2 * reached + 1).min(reach - reached);
            let before = self.bits.clone();
            let shift = step * self.stride;
            let inside = self.stride..self.bits.len() - self.stride;
            for at in inside {
                let above = at.checked_sub(shift).map_or(0, |at| before[at]);
                let below = before.get(at + shift).copied().unwrap_or(0);
                self.bits[at] |= above | below;
            }
            reached += step;
        }
    }

    /// Width in pixels.
    #[must_use]
    pub fn width(&self) -> u32 {
        self.width as u32
    }

    /// Height in pixels.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height as u32
    }

    /// Whether a pixel is foreground; everything outside the image is not.
    #[must_use]
    pub fn get(&self, x: i32, y: i32) -> bool {
        let (Ok(x), Ok(y)) = (usize::try_from(x), usize::try_from(y)) else {
            return false;
        };
        if x >= self.width || y >= self.height {
            return false;
        }
        let (byte, bit) = self.position(x, y);
        self.bits[byte] >> bit & 1 == 1
    }

    /// Appends a row: foreground is what is at least `least`.
    pub(super) fn push_row(&mut self, values: &[u8], least: u8) {
        if self.rows == self.height {
            return;
        }
        let least = u8x64::splat(least);
        let start = (self.rows + 1) * self.stride + MARGIN / 8;
        let mut words = self.bits[start..].chunks_exact_mut(8);
        let mut blocks = values[..self.width.min(values.len())].chunks_exact(64);
        let above = |block: &[u8; 64]| {
            let block = u8x64::new(*block);
            block.max(least).simd_eq(block).to_bitmask().to_le_bytes()
        };
        for (block, word) in blocks.by_ref().zip(words.by_ref()) {
            if let Ok(block) = block.try_into() {
                word.copy_from_slice(&above(block));
            }
        }
        let rest = blocks.remainder();
        let mut block = [0; 64];
        block[..rest.len()].copy_from_slice(rest);
        let mask = match rest.len() {
            0 => 0,
            length => u64::MAX >> (64 - length),
        };
        let last = u64::from_le_bytes(above(&block)) & mask;
        let bytes = rest.len().div_ceil(8);
        let end = start + values.len().min(self.width) / 64 * 8;
        self.bits[end..end + bytes].copy_from_slice(&last.to_le_bytes()[..bytes]);
        self.rows += 1;
    }

    pub(super) fn push_empty_row(&mut self) {
        self.rows = (self.rows + 1).min(self.height);
    }

    fn position(&self, x: usize, y: usize) -> (usize, usize) {
        let bit = MARGIN + x;
        ((y + 1) * self.stride + bit / 8, bit % 8)
    }

    /// The same size, nothing set: for marks on pixels.
    pub(crate) fn blank(&self) -> Self {
        BinaryMask {
            bits: vec![0; self.bits.len()],
            rows: self.height,
            ..*self
        }
    }

    /// A pixel's place in the bits: `cell + 1` is its right neighbour, `cell + cells_per_row()`
    /// the one below.
    pub(crate) fn cell(&self, x: usize, y: usize) -> usize {
        (y + 1) * self.cells_per_row() + MARGIN + x
    }

    /// The pixel at a cell.
    pub(crate) fn pixel(&self, cell: usize) -> [i32; 2] {
        let row = self.cells_per_row();
        [(cell % row) as i32 - MARGIN as i32, (cell / row) as i32 - 1]
    }

    pub(crate) fn cells_per_row(&self) -> usize {
        self.stride * 8
    }

    pub(crate) fn is_set(&self, cell: usize) -> bool {
        self.bits[cell / 8] >> (cell % 8) & 1 == 1
    }

    pub(crate) fn set(&mut self, cell: usize) {
        self.bits[cell / 8] |= 1 << (cell % 8);
    }

    pub(crate) fn set_if(&mut self, condition: bool, cell: usize) {
        self.bits[cell / 8] |= u8::from(condition) << (cell % 8);
    }

    /// The three bits `cell - 1`, `cell`, `cell + 1`, least first.
    pub(crate) fn triple(&self, cell: usize) -> usize {
        let at = (cell - 1) / 8;
        let bytes = &self.bits[at..at + 2];
        let pair = u16::from_le_bytes([bytes[0], bytes[1]]);
        usize::from(pair >> ((cell - 1) % 8) & 0b111)
    }

    /// The first set cell in `from..to`.
    pub(crate) fn next_set(&self, from: usize, to: usize) -> Option<usize> {
        let mut word = from / 64;
        let mut bits = self.word(word) & (u64::MAX << (from % 64));
        loop {
            if bits != 0 {
                let cell = word * 64 + bits.trailing_zeros() as usize;
                return (cell < to).then_some(cell);
            }
            word += 1;
            if word * 64 >= to {
                return None;
            }
            bits = self.word(word);
        }
    }

    /// The first cell in `from..to` that is not set, or `to`.
    fn next_clear(&self, from: usize, to: usize) -> usize {
        let mut word = from / 64;
        let mut bits = !self.word(word) & (u64::MAX << (from % 64));
        while bits == 0 {
            word += 1;
            if word * 64 >= to {
                return to;
            }
            bits = !self.word(word);
        }
        to.min(word * 64 + bits.trailing_zeros() as usize)
    }

    fn word(&self, index: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.bits[index * 8..index * 8 + 8]);
        u64::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_every_width_keep_their_pixels() {
        for width in [1, 7, 8, 9, 63, 64, 65, 127, 128, 200] {
            let values: Vec<u8> = (0..width).map(|x| (x * 37 % 256) as u8).collect();
            let mut mask = BinaryMask::with_rows_to_come(width, 2);
            mask.push_row(&values, 128);
            mask.push_row(&values, 0);
            for x in -2..width as i32 + 2 {
                let inside = (0..width as i32).contains(&x);
                assert_eq!(
                    mask.get(x, 0),
                    inside && values[x as usize] >= 128,
                    "{width} {x}"
                );
                assert_eq!(mask.get(x, 1), inside, "{width} {x}");
            }
            assert_eq!(
                mask,
                BinaryMask::from_fn(width, 2, |x, y| y == 1 || values[x as usize] >= 128)
            );
        }
    }

    #[test]
    fn the_next_set_cell_is_found_across_words() {
        let mask = BinaryMask::from_fn(300, 1, |x, _| x == 5 || x == 290);
        let end = mask.cell(299, 0) + 1;
        assert_eq!(mask.next_set(mask.cell(0, 0), end), Some(mask.cell(5, 0)));
        assert_eq!(mask.next_set(mask.cell(6, 0), end), Some(mask.cell(290, 0)));
        assert_eq!(mask.next_set(mask.cell(291, 0), end), None);
    }
}
