//! Bytes for a decoder, which asks on the way whether to go on.

use super::AlphaSink;
use crate::progress::Stopped;
use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, Cursor, Read, Seek, SeekFrom};

/// A sink of rows that is also asked by the [`Watched`] reader that the rows come from.
pub(super) struct SharedSink<'a> {
    sink: RefCell<&'a mut dyn AlphaSink>,
    is_stopped: Cell<bool>,
}

impl<'a> SharedSink<'a> {
    pub(super) fn new(sink: &'a mut dyn AlphaSink) -> Self {
        SharedSink {
            sink: RefCell::new(sink),
            is_stopped: Cell::new(false),
        }
    }

    pub(super) fn row(&self, alpha: &[u8]) -> Result<(), Stopped> {
        self.sink.borrow_mut().row(alpha)
    }

    pub(super) fn poll(&self) -> Result<(), Stopped> {
        self.sink.borrow_mut().poll()
    }

    /// Whether a reader's error was a stop, and none of the decoder's.
    pub(super) fn is_stopped(&self) -> bool {
        self.is_stopped.get()
    }
}

/// Hands on bytes in blocks, and asks the sink before each.
pub(super) struct Watched<'a> {
    bytes: Cursor<&'a [u8]>,
    sink: &'a SharedSink<'a>,
    block: usize,
    /// Where the sink is asked next.
    next: u64,
}

impl<'a> Watched<'a> {
    pub(super) fn new(bytes: &'a [u8], block: usize, sink: &'a SharedSink<'a>) -> Self {
        Watched {
            bytes: Cursor::new(bytes),
            sink,
            block,
            next: 0,
        }
    }

    fn ask(&mut self) -> io::Result<()> {
        self.next = self.bytes.position() + self.block as u64;
        self.sink.poll().map_err(|Stopped| {
            self.sink.is_stopped.set(true);
            io::Error::other("stopped on request")
        })
    }
}

impl BufRead for Watched<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.bytes.position() >= self.next {
            self.ask()?;
        }
        let left = self.bytes.fill_buf()?;
        Ok(&left[..left.len().min(self.block)])
    }

    fn consume(&mut self, count: usize) {
        self.bytes.consume(count);
    }
}

impl Read for Watched<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}

impl Seek for Watched<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let position = self.bytes.seek(to)?;
        self.next = position;
        Ok(position)
    }
}
