//! Prefix codes, and how the stream writes them down.

use super::Flaw;
use super::bits::{Bits, Ended};

/// The longest code.
const MAX_LENGTH: usize = 15;

/// Codes up to this length are found with one look.
const ROOT_BITS: u32 = 8;

/// 256 greens, 24 lengths, 2048 colours of a cache.
const MAX_ALPHABET: usize = 256 + 24 + (1 << 11);

/// A table by the next bits: the symbol in the lower half, the length of its code above, or, of a
/// longer one, the place of a table of its own and how many bits that one takes.
#[derive(Debug)]
pub(super) struct PrefixCode {
    table: Box<[u32]>,
    root_bits: u32,
}

const IS_LINK: u32 = 1 << 31;

/// What codes may still allocate.
pub(super) struct Budget(pub(super) u64);

impl Budget {
    /// Called before the allocation.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<(), Flaw> {
        self.0 = self.0.checked_sub(bytes as u64).ok_or(Flaw::TooManyCodes)?;
        Ok(())
    }
}

impl PrefixCode {
    /// Reads a code over `alphabet` symbols.
    pub(super) fn read(
        bits: &mut Bits<'_>,
        alphabet: usize,
        budget: &mut Budget,
    ) -> Result<Self, Flaw> {
        let mut lengths = [0; MAX_ALPHABET];
        let lengths = &mut lengths[..alphabet];
        if bits.flag()? {
            read_one_or_two(bits, lengths)?;
        } else {
            read_lengths(bits, lengths)?;
        }
        Self::new(lengths, budget)
    }

    /// The canonical code with these lengths, 0 for symbols that do not occur.
    fn new(lengths: &[u8], budget: &mut Budget) -> Result<Self, Flaw> {
        let mut counts = [0u32; MAX_LENGTH + 1];
        for &length in lengths {
            counts[usize::from(length)] += 1;
        }
        counts[0] = 0;
        if counts.iter().sum::<u32>() == 1 {
            let only = lengths.iter().position(|&length| length != 0).unwrap_or(0);
            return Ok(PrefixCode {
                table: table(1, only as u32, budget)?,
                root_bits: 0,
            });
        }
        let share = |(length, count): (usize, &u32)| count << (MAX_LENGTH - length);
        if counts.iter().enumerate().map(share).sum::<u32>() != 1 << MAX_LENGTH {
            return Err(Flaw::Corrupt("a prefix code is not complete"));
        }
        let longest = counts.iter().rposition(|&count| count != 0).unwrap_or(0) as u32;
        let root_bits = longest.min(ROOT_BITS);
        let links = links(lengths, &counts, root_bits);
        let size = (1 << root_bits)
            + links
                .iter()
                .map(|bits| (1usize << bits) & !1)
                .sum::<usize>();
        let mut table = table(size, 0, budget)?;
        let mut end = 1 << root_bits;
        for (slot, bits) in links.into_iter().enumerate().filter(|&(_, bits)| bits > 0) {
            table[slot] = IS_LINK | u32::from(bits) << 16 | end;
            end += 1 << bits;
        }
        for_each_code(lengths, &counts, |symbol, length, code| {
            let entry = |length| length << 16 | symbol as u32;
            let root = code & ((1 << root_bits) - 1);
            let (start, size, code, length) = match table[root as usize] {
                link if length > root_bits => {
                    let bits = link >> 16 & 0xff;
                    (
                        link & 0xffff,
                        1 << bits,
                        code >> root_bits,
                        length - root_bits,
                    )
                }
                _ => (0, 1 << root_bits, code, length),
            };
            for at in (code..size).step_by(1 << length) {
                table[(start + at) as usize] = entry(length);
            }
        });
        Ok(PrefixCode { table, root_bits })
    }

    /// The symbol of a code that has but one, which takes no bits.
    pub(super) fn only(&self) -> Option<u32> {
        (self.root_bits == 0).then(|| self.table[0])
    }

    #[inline]
    pub(super) fn symbol(&self, bits: &mut Bits<'_>) -> Result<u32, Ended> {
        let next = bits.peek() as u32;
        let mut entry = self.table[(next & ((1 << self.root_bits) - 1)) as usize];
        if entry & IS_LINK != 0 {
            bits.skip(self.root_bits)?;
            let at = next >> self.root_bits & ((1 << (entry >> 16 & 0xff)) - 1);
            entry = self.table[((entry & 0xffff) + at) as usize];
        }
        bits.skip(entry >> 16)?;
        Ok(entry & 0xffff)
    }
}

/// At least what the allocator takes for a small one.
fn table(size: usize, value: u32, budget: &mut Budget) -> Result<Box<[u32]>, Flaw> {
    budget.spend((4 * size).max(32))?;
    Ok(vec![value; size].into_boxed_slice())
}

/// For each entry of the first table how many bits the table behind it takes; 0 for none.
fn links(lengths: &[u8], counts: &[u32; MAX_LENGTH + 1], root_bits: u32) -> [u8; 1 << ROOT_BITS] {
    let mut links = [0; 1 << ROOT_BITS];
    for_each_code(lengths, counts, |_, length, code| {
        if length > root_bits {
            let link = &mut links[(code & ((1 << root_bits) - 1)) as usize];
            *link = (*link).max((length - root_bits) as u8);
        }
    });
    links
}

/// Calls back with each symbol, the length of its code, and the code with its first bit lowest.
fn for_each_code(
    lengths: &[u8],
    counts: &[u32; MAX_LENGTH + 1],
    mut found: impl FnMut(usize, u32, u32),
) {
    let mut next = [0u32; MAX_LENGTH + 2];
    for length in 1..=MAX_LENGTH {
        next[length + 1] = (next[length] + counts[length]) << 1;
    }
    for (symbol, &length) in lengths
        .iter()
        .enumerate()
        .filter(|(_, length)| **length != 0)
    {
        let code = &mut next[usize::from(length)];
        let length = u32::from(length);
        found(symbol, length, code.reverse_bits() >> (32 - length));
        *code += 1;
    }
}

fn read_one_or_two(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Result<(), Flaw> {
    let has_two = bits.flag()?;
    let width = if bits.flag()? { 8 } else { 1 };
    set(lengths, bits.read(width)?)?;
    if has_two {
        set(lengths, bits.read(8)?)?;
    }
    Ok(())
}

fn set(lengths: &mut [u8], symbol: u32) -> Result<(), Flaw> {
    let length = lengths.get_mut(symbol as usize);
    *length.ok_or(Flaw::Corrupt("a symbol is beyond its alphabet"))? = 1;
    Ok(())
}

/// Reads lengths that are themselves written in a prefix code.
fn read_lengths(bits: &mut Bits<'_>, lengths: &mut [u8]) -> Result<(), Flaw> {
    /// In which order the lengths of that code's codes stand.
    const ORDER: [usize; 19] = [
        17, 18, 0, 1, 2, 3, 4, 5, 16, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
    ];
    const BEYOND: Flaw = Flaw::Corrupt("a prefix code is beyond its alphabet");
    let mut of_lengths = [0; ORDER.len()];
    let count = 4 + bits.read(4)? as usize;
    for &symbol in &ORDER[..count] {
        of_lengths[symbol] = bits.read(3)? as u8;
    }
    // Lengths of three bits make a small table, which is not kept.
    let code = PrefixCode::new(&of_lengths, &mut Budget(512))?;
    let mut left = lengths.len();
    if bits.flag()? {
        let width = 2 + 2 * bits.read(3)?;
        left = 2 + bits.read(width)? as usize;
        if left > lengths.len() {
            return Err(BEYOND);
        }
    }
    let (mut at, mut previous) = (0, 8);
    while at < lengths.len() && left > 0 {
        left -= 1;
        let (length, repeated) = match code.symbol(bits)? {
            16 => (previous, 3 + bits.read(2)? as usize),
            17 => (0, 3 + bits.read(3)? as usize),
            18 => (0, 11 + bits.read(7)? as usize),
            length => (length as u8, 1),
        };
        lengths
            .get_mut(at..at + repeated)
            .ok_or(BEYOND)?
            .fill(length);
        at += repeated;
        if length != 0 {
            previous = length;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(lengths: &[u8]) -> Result<PrefixCode, Flaw> {
        PrefixCode::new(lengths, &mut Budget(1 << 20))
    }

    #[test]
    fn codes_longer_than_the_first_table_are_found() {
        // Symbol 0 is `0`, symbol 1 is `10`, and so on; the last two have 15 bits.
        let lengths: Vec<u8> = (1..=15).chain([15]).collect();
        let code = code(&lengths).expect("it is complete");
        for symbol in 0..16u32 {
            let ones = symbol.min(15);
            let bytes = ((1u32 << ones) - 1).to_le_bytes();
            let mut bits = Bits::new(&bytes);
            assert_eq!(code.symbol(&mut bits), Ok(symbol));
            let length = u32::from(lengths[symbol as usize]);
            assert_eq!(bits.skip(32 - length), Ok(()));
            assert_eq!(bits.skip(1), Err(Ended));
        }
    }

    #[test]
    fn a_single_symbol_takes_no_bits() {
        let code = code(&[0, 0, 7]).expect("one symbol will do");
        assert_eq!(code.only(), Some(2));
        assert_eq!(code.symbol(&mut Bits::new(&[])), Ok(2));
    }

    #[test]
    fn codes_with_gaps_or_overlaps_are_refused() {
        for lengths in [&[1, 2][..], &[1, 1, 1], &[0, 0], &[15; 15]] {
            let flaw = code(lengths).err();
            assert_eq!(flaw, Some(Flaw::Corrupt("a prefix code is not complete")));
        }
    }
}
