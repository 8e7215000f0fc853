//! Bits, the least significant of a byte first.

/// The bytes ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended;

pub(super) struct Bits<'a> {
    rest: &'a [u8],
    /// The next bits. Above `count` there may be some that come again.
    buffer: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Bits {
            rest: bytes,
            buffer: 0,
            count: 0,
        }
    }

    /// The next bits, at least 32 unless the bytes end; behind the end zeros.
    #[inline]
    pub(super) fn peek(&mut self) -> u64 {
        if self.count < 32 {
            self.refill();
        }
        self.buffer
    }

    fn refill(&mut self) {
        if let Some((word, _)) = self.rest.split_first_chunk::<8>() {
            self.buffer |= u64::from_le_bytes(*word) << self.count;
            let taken = (63 - self.count) / 8;
            self.rest = &self.rest[taken as usize..];
            self.count += 8 * taken;
            return;
        }
        while let (true, Some((&byte, rest))) = (self.count < 56, self.rest.split_first()) {
            self.buffer |= u64::from(byte) << self.count;
            self.count += 8;
            self.rest = rest;
        }
    }

    /// Skips bits that were peeked at.
    #[inline]
    pub(super) fn skip(&mut self, count: u32) -> Result<(), Ended> {
        if count > self.count {
            return Err(Ended);
        }
        self.buffer >>= count;
        self.count -= count;
        Ok(())
    }

    /// A number of at most 24 bits.
    #[inline]
    pub(super) fn read(&mut self, count: u32) -> Result<u32, Ended> {
        let value = self.peek() & ((1 << count) - 1);
        self.skip(count)?;
        Ok(value as u32)
    }

    pub(super) fn flag(&mut self) -> Result<bool, Ended> {
        self.read(1).map(|bit| bit == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_from_the_least_significant_up_and_end() {
        let bytes: Vec<u8> = (0..23).map(|byte| byte * 11).collect();
        let mut bits = Bits::new(&bytes);
        let mut count = 0;
        let mut at = |width: u32| {
            let expected = (count..count + width).rev().fold(0, |value, bit| {
                value << 1 | u32::from(bytes[bit as usize / 8] >> (bit % 8) & 1)
            });
            count += width;
            expected
        };
        for width in [3, 1, 24, 7, 13, 24, 24, 24, 9, 24, 24] {
            assert_eq!(bits.read(width), Ok(at(width)), "{width}");
        }
        assert_eq!(bits.read(7), Ok(at(7)));
        assert_eq!(bits.read(1), Err(Ended));
    }
}
