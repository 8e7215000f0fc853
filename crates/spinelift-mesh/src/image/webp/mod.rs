//! WebP, lossy and lossless: the alpha plane alone; `colour` is for formats that show the image.
//!
//! For a mesh colours are never decoded, so that damage to them is not noticed: of a lossy picture the
//! container, the size in its header and the alpha chunk are read, and of one without alpha no
//! more than the headers. What is lossless is decoded here rather than by a crate, because its
//! decoder has to be asked to stop on the way and to keep to a bound of memory, for hostile files
//! too; neither is to be had from one that returns a finished picture.

mod colour;
mod container;
mod filter;
mod lossless;

use super::{AlphaSink, ImageHeader, out_of_memory};
use crate::error::{ImageLoadError, Interrupted};
use crate::limits::Limits;
use crate::progress::Stopped;
pub(super) use colour::paint;
use container::{Alpha, Frame, Picture};
use filter::Unfilter;
use lossless::{Flaw, Rows};

pub(super) fn dimensions(bytes: &[u8]) -> Result<(u32, u32), ImageLoadError> {
    Picture::read(bytes).map(|picture| (picture.width, picture.height))
}

/// An upper bound of what decoding allocates: a few rows, and for what is coded losslessly its
/// pixels, the images of its transforms and its codes.
pub(super) fn memory(bytes: &[u8]) -> Result<u64, ImageLoadError> {
    let picture = Picture::read(bytes)?;
    let rows = 4 * u64::from(picture.width);
    Ok(match picture.alpha {
        Alpha::Opaque | Alpha::Plane { .. } => rows,
        Alpha::Lossless(_) | Alpha::CompressedPlane { .. } => {
            let Frame { width, height, .. } = picture.frame;
            rows + lossless::memory(width, height)
        }
    })
}

pub(super) fn decode_alpha(
    bytes: &[u8],
    header: &ImageHeader,
    limits: &Limits,
    sink: &mut dyn AlphaSink,
) -> Result<(), Interrupted<ImageLoadError>> {
    sink.poll()?;
    let picture = Picture::read(bytes)?;
    let frame = picture.frame;
    let mut canvas = Canvas::new(header.width, frame, sink);
    canvas.empty_rows(frame.top)?;
    match picture.alpha {
        Alpha::Opaque => canvas.opaque_rows(frame.height)?,
        Alpha::Plane { filter, data } => {
            let mut unfilter = Unfilter::new(filter);
            for row in data.chunks_exact(frame.width as usize) {
                canvas.row(unfilter.row(row.iter().copied()))?;
            }
        }
        Alpha::CompressedPlane { filter, stream } => {
            let mut green = Channel {
                sink: &mut canvas,
                shift: 8,
                unfilter: Unfilter::new(filter),
            };
            decode_lossless(stream, frame, limits, &mut green)?;
        }
        Alpha::Lossless(stream) => {
            let mut alpha = Channel {
                sink: &mut canvas,
                shift: 24,
                unfilter: Unfilter::new(filter::Filter::None),
            };
            decode_lossless(stream, frame, limits, &mut alpha)?;
        }
    }
    canvas.empty_rows(header.height - frame.top - frame.height)?;
    Ok(())
}

fn decode_lossless(
    stream: &[u8],
    frame: Frame,
    limits: &Limits,
    rows: &mut dyn Rows,
) -> Result<(), Interrupted<ImageLoadError>> {
    let (width, height) = (frame.width, frame.height);
    let for_pixels = lossless::pixel_memory(width, height);
    let allowed = (limits.max_decoder_memory as u64)
        .checked_sub(for_pixels)
        .ok_or_else(|| out_of_memory(limits))?;
    let usual = lossless::code_memory(width, height);
    lossless::decode(stream, width, height, usual.min(allowed), rows).map_err(|flaw| match flaw {
        Flaw::Stopped => Interrupted::Stopped,
        Flaw::Truncated => Interrupted::Failed(ImageLoadError::Truncated { format: "WebP" }),
        Flaw::TooManyCodes if allowed < usual => Interrupted::Failed(out_of_memory(limits)),
        Flaw::TooManyCodes => Interrupted::Failed(corrupt(format!(
            "its entropy codes take more than {usual} bytes, beyond what encoders write for \
             {width} x {height} pixels"
        ))),
        Flaw::Corrupt(reason) => Interrupted::Failed(corrupt(reason)),
    })
}

fn corrupt(reason: impl Into<String>) -> ImageLoadError {
    ImageLoadError::Corrupt {
        format: "WebP",
        reason: reason.into(),
    }
}

/// Sends one channel of the pixels on as alpha.
struct Channel<'a, 'b> {
    sink: &'a mut Canvas<'b>,
    shift: u32,
    unfilter: Unfilter,
}

impl Rows for Channel<'_, '_> {
    fn row(&mut self, pixels: &[u32]) -> Result<(), Stopped> {
        let shift = self.shift;
        let channel = pixels.iter().map(|pixel| (pixel >> shift) as u8);
        self.sink.row(self.unfilter.row(channel))
    }

    fn poll(&mut self) -> Result<(), Stopped> {
        self.sink.sink.poll()
    }
}

/// Places the rows of a frame among transparent pixels.
struct Canvas<'a> {
    sink: &'a mut dyn AlphaSink,
    frame: Frame,
    /// As wide as the image, transparent beside the frame.
    line: Vec<u8>,
}

impl<'a> Canvas<'a> {
    fn new(width: u32, frame: Frame, sink: &'a mut dyn AlphaSink) -> Self {
        let line = vec![0; width as usize];
        Canvas { sink, frame, line }
    }

    fn empty_rows(&mut self, count: u32) -> Result<(), Stopped> {
        self.line.fill(0);
        (0..count).try_for_each(|_| self.sink.row(&self.line))
    }

    fn opaque_rows(&mut self, count: u32) -> Result<(), Stopped> {
        let (left, width) = (self.frame.left as usize, self.frame.width as usize);
        self.line[left..left + width].fill(u8::MAX);
        (0..count).try_for_each(|_| self.sink.row(&self.line))
    }

    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        if alpha.len() == self.line.len() {
            return self.sink.row(alpha);
        }
        let left = self.frame.left as usize;
        self.line[left..left + alpha.len()].copy_from_slice(alpha);
        self.sink.row(&self.line)
    }
}
