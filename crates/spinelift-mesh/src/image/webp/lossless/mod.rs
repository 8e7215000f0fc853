//! The lossless stream: prefix codes, repetitions, a cache of colours, and transforms.
//!
//! Decoded as its specification says ("WebP Lossless Bitstream Specification"). The pixels are
//! held as a whole, since a repetition may reach back to the first; transforms are undone row by
//! row, as rows leave.

mod bits;
mod prefix;
mod transform;

use crate::progress::Stopped;
use bits::{Bits, Ended};
use prefix::{Budget, PrefixCode};
use transform::{Blocks, Palette, Transform};

/// Pixels between two questions.
const PIXELS_PER_POLL: usize = 1 << 10;

/// Groups of codes between two questions.
const GROUPS_PER_POLL: usize = 1 << 8;

/// Takes the pixels row by row: alpha, red, green, blue, from the highest byte down.
pub(super) trait Rows {
    fn row(&mut self, pixels: &[u32]) -> Result<(), Stopped>;

    /// Asked again and again while there are no rows yet.
    fn poll(&mut self) -> Result<(), Stopped>;
}

/// Why decoding ended early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flaw {
    Stopped,
    Truncated,
    Corrupt(&'static str),
    /// The codes would take more memory than they may.
    TooManyCodes,
}

impl From<Ended> for Flaw {
    fn from(_: Ended) -> Self {
        Flaw::Truncated
    }
}

impl From<Stopped> for Flaw {
    fn from(_: Stopped) -> Self {
        Flaw::Stopped
    }
}

/// What decoding allocates for pixels.
pub(super) fn pixel_memory(width: u32, height: u32) -> u64 {
    4 * u64::from(width) * u64::from(height)
}

/// What codes may allocate. A stream can declare 65,536 groups of codes whose tables take thousands
/// of times the bytes that declare them. Encoders write a few thousand small ones at most: measured
/// 0.7 MB for pictures of 512² made to need many, 0.4 MB for ordinary ones of 4096².
pub(super) fn code_memory(width: u32, height: u32) -> u64 {
    (8 << 20) + u64::from(width) * u64::from(height) / 2
}

/// An upper bound of all that decoding allocates: the pixels; the codes; three images of a value
/// for each square of pixels, which are of 4 by 4 at least; rows; the caches.
pub(super) fn memory(width: u32, height: u32) -> u64 {
    let squares = u64::from(width.div_ceil(4)) * u64::from(height.div_ceil(4));
    let rows = 24 * u64::from(width);
    let caches = 32 << 10;
    pixel_memory(width, height) + code_memory(width, height) + 12 * squares + rows + caches
}

/// Decodes the stream behind its header. `code_memory` is what its codes may allocate.
pub(super) fn decode(
    stream: &[u8],
    width: u32,
    height: u32,
    code_memory: u64,
    rows: &mut dyn Rows,
) -> Result<(), Flaw> {
    let height = height as usize;
    let mut decoder = Decoder {
        bits: Bits::new(stream),
        budget: Budget(code_memory),
        rows,
    };
    let (mut transforms, width) = decoder.transforms(width as usize, height)?;
    let pixels = decoder.image(width, height, Role::Picture)?;
    let mut row = Vec::new();
    for (y, coded) in pixels.chunks_exact(width).enumerate() {
        row.clear();
        row.extend_from_slice(coded);
        for transform in transforms.iter_mut().rev() {
            transform.undo(y, &mut row);
        }
        decoder.rows.row(&row)?;
    }
    Ok(())
}

struct Decoder<'a> {
    bits: Bits<'a>,
    budget: Budget,
    rows: &'a mut dyn Rows,
}

/// What an image is for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// May choose its codes square by square.
    Picture,
    /// Parameters of a transform, or which codes to choose.
    Parameters,
}

/// The codes of a part of an image.
struct Group {
    green: PrefixCode,
    red: PrefixCode,
    blue: PrefixCode,
    alpha: PrefixCode,
    distance: PrefixCode,
    /// The other channels, if no bits are needed to tell them.
    fixed: Option<u32>,
}

impl Decoder<'_> {
    /// Reads the transforms, in the order in which they were applied, and how wide the coded
    /// image is after them.
    fn transforms(&mut self, width: usize, height: usize) -> Result<(Vec<Transform>, usize), Flaw> {
        let mut transforms = Vec::new();
        let mut seen = [false; 4];
        let mut coded_width = width;
        while self.bits.flag()? {
            let kind = self.bits.read(2)? as usize;
            if std::mem::replace(&mut seen[kind], true) {
                return Err(Flaw::Corrupt("a transform comes twice"));
            }
            transforms.push(match kind {
                0 => Transform::Predictor {
                    modes: self.blocks(coded_width, height)?,
                    previous: Vec::new(),
                },
                1 => Transform::Color(self.blocks(coded_width, height)?),
                2 => Transform::SubtractGreen,
                _ => {
                    let count = self.bits.read(8)? as usize + 1;
                    let colors = self.image(count, 1, Role::Parameters)?;
                    let palette = Palette::new(&colors, coded_width);
                    coded_width = palette.packed_width();
                    Transform::Palette(palette)
                }
            });
        }
        Ok((transforms, coded_width))
    }

    fn blocks(&mut self, width: usize, height: usize) -> Result<Blocks, Flaw> {
        let bits = self.bits.read(3)? + 2;
        let across = width.div_ceil(1 << bits);
        let down = height.div_ceil(1 << bits);
        let values = self.image(across, down, Role::Parameters)?;
        Ok(Blocks {
            bits,
            across,
            values,
        })
    }

    fn image(&mut self, width: usize, height: usize, role: Role) -> Result<Vec<u32>, Flaw> {
        let cache_bits = match self.bits.flag()? {
            true => Some(self.bits.read(4)?),
            false => None,
        };
        if cache_bits.is_some_and(|bits| !(1..=11).contains(&bits)) {
            return Err(Flaw::Corrupt("the cache of colours has an unknown size"));
        }
        let chosen = match role == Role::Picture && self.bits.flag()? {
            true => Some(self.blocks(width, height)?),
            false => None,
        };
        let number = |value: &u32| (value >> 8 & 0xffff) as usize;
        let last = chosen
            .iter()
            .flat_map(|blocks| blocks.values.iter().map(number))
            .max();
        let groups = self.groups(last.unwrap_or(0) + 1, cache_bits)?;
        let mut pixels = Pixels::new(width, height, cache_bits);
        let mut next_poll = 0;
        while pixels.values.len() < pixels.count {
            let at = pixels.values.len();
            if at >= next_poll {
                self.rows.poll()?;
                next_poll = at + PIXELS_PER_POLL;
            }
            let (x, y) = (at % width, at / width);
            let (group, end) = match &chosen {
                Some(blocks) => {
                    let column = x >> blocks.bits;
                    let block = (y >> blocks.bits) * blocks.across + column;
                    let end = (column + 1) << blocks.bits;
                    (number(&blocks.values[block]), end.min(width))
                }
                None => (0, width),
            };
            pixels.fill(&groups[group], y * width + end, &mut self.bits)?;
        }
        Ok(pixels.values)
    }

    fn groups(&mut self, count: usize, cache_bits: Option<u32>) -> Result<Vec<Group>, Flaw> {
        self.budget.spend(count * size_of::<Group>())?;
        let mut groups = Vec::with_capacity(count);
        let greens = 256 + LENGTHS + cache_bits.map_or(0, |bits| 1 << bits);
        for index in 0..count {
            if index % GROUPS_PER_POLL == 0 {
                self.rows.poll()?;
            }
            let mut code = |alphabet| PrefixCode::read(&mut self.bits, alphabet, &mut self.budget);
            let mut group = Group {
                green: code(greens)?,
                red: code(256)?,
                blue: code(256)?,
                alpha: code(256)?,
                distance: code(40)?,
                fixed: None,
            };
            let others = (group.alpha.only(), group.red.only(), group.blue.only());
            if let (Some(alpha), Some(red), Some(blue)) = others {
                group.fixed = Some(alpha << 24 | red << 16 | blue);
            }
            groups.push(group);
        }
        Ok(groups)
    }
}

/// Symbols of the green code that begin a repetition.
const LENGTHS: usize = 24;

/// An image as it is decoded.
struct Pixels {
    /// Those there are yet. The memory is taken at once, but touched only as they come, so that
    /// no more time passes between two questions than a few pixels need.
    values: Vec<u32>,
    width: usize,
    count: usize,
    cache: Option<Cache>,
}

impl Pixels {
    fn new(width: usize, height: usize, cache_bits: Option<u32>) -> Self {
        let count = width * height;
        Pixels {
            values: Vec::with_capacity(count),
            width,
            count,
            cache: cache_bits.map(Cache::new),
        }
    }

    /// Decodes up to `end`, or beyond with a repetition.
    fn fill(&mut self, group: &Group, end: usize, bits: &mut Bits<'_>) -> Result<(), Flaw> {
        if let (Some(others), Some(green @ 0..256)) = (group.fixed, group.green.only()) {
            let pixel = others | green << 8;
            self.values.resize(end, pixel);
            self.remember(pixel);
            return Ok(());
        }
        while self.values.len() < end {
            let symbol = group.green.symbol(bits)?;
            if symbol < 256 {
                let others = match group.fixed {
                    Some(others) => others,
                    None => {
                        let red = group.red.symbol(bits)?;
                        let blue = group.blue.symbol(bits)?;
                        group.alpha.symbol(bits)? << 24 | red << 16 | blue
                    }
                };
                let pixel = others | symbol << 8;
                self.values.push(pixel);
                self.remember(pixel);
            } else if symbol < 256 + LENGTHS as u32 {
                let length = number(symbol - 256, bits)?;
                let distance = number(group.distance.symbol(bits)?, bits)?;
                self.repeat(self.distance(distance), length)?;
            } else {
                let cache = self.cache.as_ref();
                let color = cache.and_then(|cache| cache.color(symbol - 256 - LENGTHS as u32));
                let color = color.ok_or(Flaw::Corrupt("a colour is beyond the cache"))?;
                self.values.push(color);
            }
        }
        Ok(())
    }

    fn remember(&mut self, color: u32) {
        if let Some(cache) = &mut self.cache {
            cache.insert(color);
        }
    }

    fn repeat(&mut self, distance: usize, length: usize) -> Result<(), Flaw> {
        let start = self.values.len();
        if distance > start || length > self.count - start {
            return Err(Flaw::Corrupt("a repetition reaches beyond the image"));
        }
        if distance >= length {
            let from = start - distance;
            self.values.extend_from_within(from..from + length);
        } else if distance == 1 {
            let pixel = self.values[start - 1];
            self.values.resize(start + length, pixel);
        } else {
            for index in start..start + length {
                self.values.push(self.values[index - distance]);
            }
        }
        if let Some(cache) = &mut self.cache {
            self.values[start..]
                .iter()
                .for_each(|&color| cache.insert(color));
        }
        Ok(())
    }

    /// Pixels back from a distance code: the least ones mean neighbours in the rows above.
    fn distance(&self, code: usize) -> usize {
        match NEIGHBOURS.get(code - 1) {
            Some(&(left, up)) => {
                let back = isize::from(left) + isize::from(up) * self.width as isize;
                back.max(1) as usize
            }
            None => code - NEIGHBOURS.len(),
        }
    }
}

/// A length or a distance code, from its symbol and more bits.
fn number(symbol: u32, bits: &mut Bits<'_>) -> Result<usize, Ended> {
    if symbol < 4 {
        return Ok(symbol as usize + 1);
    }
    let more = (symbol - 2) >> 1;
    let offset = (2 + (symbol & 1)) << more;
    Ok((offset + bits.read(more)?) as usize + 1)
}

/// The latest colours by their hash.
struct Cache {
    colors: Vec<u32>,
    shift: u32,
}

impl Cache {
    fn new(bits: u32) -> Self {
        Cache {
            colors: vec![0; 1 << bits],
            shift: 32 - bits,
        }
    }

    fn insert(&mut self, color: u32) {
        let hash = color.wrapping_mul(0x1e35_a7bd) >> self.shift;
        self.colors[hash as usize] = color;
    }

    fn color(&self, index: u32) -> Option<u32> {
        self.colors.get(index as usize).copied()
    }
}

/// For the first 120 distance codes, how far left and how far up.
#[rustfmt::skip]
const NEIGHBOURS: [(i8, i8); 120] = [
    (0, 1),  (1, 0),  (1, 1),  (-1, 1), (0, 2),  (2, 0),  (1, 2),  (-1, 2),
    (2, 1),  (-2, 1), (2, 2),  (-2, 2), (0, 3),  (3, 0),  (1, 3),  (-1, 3),
    (3, 1),  (-3, 1), (2, 3),  (-2, 3), (3, 2),  (-3, 2), (0, 4),  (4, 0),
    (1, 4),  (-1, 4), (4, 1),  (-4, 1), (3, 3),  (-3, 3), (2, 4),  (-2, 4),
    (4, 2),  (-4, 2), (0, 5),  (3, 4),  (-3, 4), (4, 3),  (-4, 3), (5, 0),
    (1, 5),  (-1, 5), (5, 1),  (-5, 1), (2, 5),  (-2, 5), (5, 2),  (-5, 2),
    (4, 4),  (-4, 4), (3, 5),  (-3, 5), (5, 3),  (-5, 3), (0, 6),  (6, 0),
    (1, 6),  (-1, 6), (6, 1),  (-6, 1), (2, 6),  (-2, 6), (6, 2),  (-6, 2),
    (4, 5),  (-4, 5), (5, 4),  (-5, 4), (3, 6),  (-3, 6), (6, 3),  (-6, 3),
    (0, 7),  (7, 0),  (1, 7),  (-1, 7), (5, 5),  (-5, 5), (7, 1),  (-7, 1),
    (4, 6),  (-4, 6), (6, 4),  (-6, 4), (2, 7),  (-2, 7), (7, 2),  (-7, 2),
    (3, 7),  (-3, 7), (7, 3),  (-7, 3), (5, 6),  (-5, 6), (6, 5),  (-6, 5),
    (8, 0),  (4, 7),  (-4, 7), (7, 4),  (-7, 4), (8, 1),  (8, 2),  (6, 6),
    (-6, 6), (8, 3),  (5, 7),  (-5, 7), (7, 5),  (-7, 5), (8, 4),  (6, 7),
    (-6, 7), (7, 6),  (-7, 6), (8, 5),  (7, 7),  (-7, 7), (8, 6),  (8, 7)
];
