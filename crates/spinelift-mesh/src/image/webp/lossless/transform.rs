//! The transforms that were applied to pixels before they were coded, undone row by row.

use std::mem;
use std::ops::Range;

const BLACK: u32 = 0xff00_0000;

/// A value for each square of pixels.
pub(super) struct Blocks {
    /// Pixels in a square's side, as a power of two.
    pub(super) bits: u32,
    /// Squares in a row.
    pub(super) across: usize,
    pub(super) values: Vec<u32>,
}

impl Blocks {
    /// The squares that a row of pixels passes through: its values and columns.
    fn row(&self, y: usize, width: usize) -> impl Iterator<Item = (u32, Range<usize>)> + '_ {
        let start = (y >> self.bits) * self.across;
        let values = &self.values[start..start + self.across];
        values.iter().enumerate().map(move |(block, &value)| {
            let columns = block << self.bits..((block + 1) << self.bits).min(width);
            (value, columns)
        })
    }
}

pub(super) enum Transform {
    /// Differences from a prediction, of one of 14 kinds.
    Predictor {
        modes: Blocks,
        previous: Vec<u32>,
    },
    /// Red and blue less a share of green, blue less a share of red.
    Color(Blocks),
    SubtractGreen,
    Palette(Palette),
}

impl Transform {
    /// Undoes it for the row of pixels `y`.
    pub(super) fn undo(&mut self, y: usize, row: &mut Vec<u32>) {
        match self {
            Transform::Predictor { modes, previous } => {
                if previous.is_empty() {
                    first_row(row);
                } else {
                    row[0] = add(row[0], previous[0]);
                    let width = row.len();
                    for (mode, columns) in modes.row(y, width) {
                        let columns = columns.start.max(1)..columns.end;
                        predict(mode >> 8 & 0xf, columns, row, previous);
                    }
                }
                previous.clone_from(row);
            }
            Transform::Color(shares) => {
                for (share, columns) in shares.row(y, row.len()) {
                    for pixel in &mut row[columns] {
                        *pixel = with_color(*pixel, share);
                    }
                }
            }
            Transform::SubtractGreen => {
                for pixel in row {
                    let green = *pixel >> 8 & 0xff;
                    *pixel = add(*pixel, green << 16 | green);
                }
            }
            Transform::Palette(palette) => palette.undo(row),
        }
    }
}

/// Colours by number; small numbers share a pixel.
pub(super) struct Palette {
    colors: Box<[u32; 256]>,
    /// Numbers in a pixel, as a power of two.
    bits: u32,
    width: usize,
    unpacked: Vec<u32>,
}

impl Palette {
    /// `colors` are differences, each from the one before.
    pub(super) fn new(differences: &[u32], width: usize) -> Self {
        let mut colors = Box::new([0; 256]);
        let mut sum = 0;
        for (color, &difference) in colors.iter_mut().zip(differences) {
            sum = add(sum, difference);
            *color = sum;
        }
        let bits = match differences.len() {
            0..=2 => 3,
            3..=4 => 2,
            5..=16 => 1,
            _ => 0,
        };
        Palette {
            colors,
            bits,
            width,
            unpacked: Vec::new(),
        }
    }

    /// How wide a row is while numbers share pixels.
    pub(super) fn packed_width(&self) -> usize {
        self.width.div_ceil(1 << self.bits)
    }

    fn undo(&mut self, row: &mut Vec<u32>) {
        let bits_each = 8 >> self.bits;
        let mask = (1 << bits_each) - 1;
        self.unpacked.clear();
        for packed in row.iter() {
            let mut numbers = packed >> 8 & 0xff;
            for _ in 0..1 << self.bits {
                self.unpacked.push(self.colors[(numbers & mask) as usize]);
                numbers >>= bits_each;
            }
        }
        self.unpacked.truncate(self.width);
        mem::swap(row, &mut self.unpacked);
    }
}

fn first_row(row: &mut [u32]) {
    let mut left = BLACK;
    for pixel in row {
        *pixel = add(*pixel, left);
        left = *pixel;
    }
}

fn predict(mode: u32, columns: Range<usize>, row: &mut [u32], above: &[u32]) {
    let on = (columns, row, above);
    match mode {
        1 => add_each(on, |left, _, _, _| left),
        2 => add_each(on, |_, top, _, _| top),
        3 => add_each(on, |_, _, _, right| right),
        4 => add_each(on, |_, _, corner, _| corner),
        5 => add_each(on, |left, top, _, right| average(average(left, right), top)),
        6 => add_each(on, |left, _, corner, _| average(left, corner)),
        7 => add_each(on, |left, top, _, _| average(left, top)),
        8 => add_each(on, |_, top, corner, _| average(corner, top)),
        9 => add_each(on, |_, top, _, right| average(top, right)),
        10 => add_each(on, |left, top, corner, right| {
            average(average(left, corner), average(top, right))
        }),
        11 => add_each(on, |left, top, corner, _| select(left, top, corner)),
        12 => add_each(on, |left, top, corner, _| {
            channels(|at| channel(left, at) + channel(top, at) - channel(corner, at))
        }),
        13 => add_each(on, |left, top, corner, _| {
            let middle = average(left, top);
            channels(|at| channel(middle, at) + (channel(middle, at) - channel(corner, at)) / 2)
        }),
        _ => add_each(on, |_, _, _, _| BLACK),
    }
}

/// Adds a prediction from the neighbours to the left, above, above to the left and above to the
/// right. Behind the end of the row above comes the start of this one.
fn add_each(
    (columns, row, above): (Range<usize>, &mut [u32], &[u32]),
    prediction: impl Fn(u32, u32, u32, u32) -> u32,
) {
    for x in columns {
        let right = above.get(x + 1).copied().unwrap_or(row[0]);
        let prediction = prediction(row[x - 1], above[x], above[x - 1], right);
        row[x] = add(row[x], prediction);
    }
}

/// Sums of each channel.
fn add(a: u32, b: u32) -> u32 {
    let high = (a & 0xff00_ff00).wrapping_add(b & 0xff00_ff00) & 0xff00_ff00;
    let low = (a & 0x00ff_00ff).wrapping_add(b & 0x00ff_00ff) & 0x00ff_00ff;
    high | low
}

/// The lower mean of each channel.
fn average(a: u32, b: u32) -> u32 {
    (((a ^ b) & 0xfefe_fefe) >> 1) + (a & b)
}

fn channel(pixel: u32, at: u32) -> i32 {
    (pixel >> at & 0xff) as i32
}

/// A pixel whose channels are computed one by one, and clamped.
fn channels(value: impl Fn(u32) -> i32) -> u32 {
    [0, 8, 16, 24]
        .map(|at| (value(at).clamp(0, 255) as u32) << at)
        .into_iter()
        .fold(0, |pixel, channel| pixel | channel)
}

/// Left or top, whichever is nearer to `left + top - corner`.
fn select(left: u32, top: u32, corner: u32) -> u32 {
    let distance = |a: u32, b: u32| -> i32 {
        let of = |at| (channel(a, at) - channel(b, at)).abs();
        of(0) + of(8) + of(16) + of(24)
    };
    if distance(top, corner) < distance(left, corner) {
        left
    } else {
        top
    }
}

fn with_color(pixel: u32, share: u32) -> u32 {
    let signed = |value: u32, at: u32| i32::from((value >> at) as u8 as i8);
    let part = |of: i32, share_at: u32| (signed(share, share_at) * of) >> 5;
    let green = signed(pixel, 8);
    let red = channel(pixel, 16) + part(green, 0);
    let red = (red & 0xff) as u32;
    let blue = channel(pixel, 0) + part(green, 8) + part(signed(red, 0), 16);
    pixel & 0xff00_ff00 | red << 16 | (blue & 0xff) as u32
}
