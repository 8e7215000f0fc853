//! Bytes → rows of alpha.
//!
//! The format is told by content. The header is checked against the [`Limits`] before anything
//! is decoded, and decoding hands on one row of alpha after the other, so that a PNG is never
//! held as a whole.

mod jpeg;
mod pixels;
mod png;
mod watched;
mod webp;

use crate::error::{ImageLoadError, Interrupted};
use crate::limits::Limits;
use crate::progress::Stopped;
pub use pixels::Pixels;
use std::fmt::Display;
use std::io;

/// The formats that are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageFormat {
    /// PNG and APNG (of an animation, the default image).
    Png,
    /// WebP, lossy and lossless (of an animation, the first frame). Colours that say nothing of
    /// alpha are not decoded: damage to them is not noticed.
    WebP,
    /// JPEG, which has no alpha: every pixel is opaque.
    Jpeg,
}

impl ImageFormat {
    /// Recognises a format by the first bytes.
    ///
    /// # Errors
    /// [`ImageLoadError::Empty`], or [`ImageLoadError::UnknownFormat`] with a guess at what the
    /// bytes are instead.
    pub fn detect(bytes: &[u8]) -> Result<Self, ImageLoadError> {
        match bytes {
            [] => Err(ImageLoadError::Empty),
            [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1a, b'\n', ..] => Ok(ImageFormat::Png),
            [
                b'R',
                b'I',
                b'F',
                b'F',
                _,
                _,
                _,
                _,
                b'W',
                b'E',
                b'B',
                b'P',
                ..,
            ] => Ok(ImageFormat::WebP),
            [0xff, 0xd8, 0xff, ..] => Ok(ImageFormat::Jpeg),
            _ => Err(ImageLoadError::UnknownFormat {
                found: guess_other_format(bytes),
            }),
        }
    }

    /// The format's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ImageFormat::Png => "PNG",
            ImageFormat::WebP => "WebP",
            ImageFormat::Jpeg => "JPEG",
        }
    }

    /// The format's media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            ImageFormat::Png => "image/png",
            ImageFormat::WebP => "image/webp",
            ImageFormat::Jpeg => "image/jpeg",
        }
    }
}

fn guess_other_format(bytes: &[u8]) -> Option<&'static str> {
    let start = bytes.get(..256).unwrap_or(bytes);
    let text = start.trim_ascii_start().to_ascii_lowercase();
    match start {
        _ if start.starts_with(b"GIF8") => Some("a GIF"),
        _ if start.starts_with(b"BM") => Some("a BMP"),
        _ if start.starts_with(b"8BPS") => Some("a Photoshop document"),
        _ if start.starts_with(b"DDS ") => Some("a DDS texture"),
        _ if start.starts_with(b"II*\0") || start.starts_with(b"MM\0*") => Some("a TIFF"),
        _ if start.get(4..8) == Some(b"ftyp") => Some("an AVIF, HEIF or video file"),
        _ if text.starts_with(b"<svg") => Some("an SVG"),
        _ if text.starts_with(b"<!doctype html") || text.starts_with(b"<html") => {
            Some("an HTML page")
        }
        _ if text.starts_with(b"<?xml") => Some("an XML document"),
        _ if text.starts_with(b"{") => Some("JSON"),
        _ => None,
    }
}

/// What is known of an image before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImageHeader {
    /// The format, told by content.
    pub format: ImageFormat,
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// An upper bound of the bytes that decoding allocates beside the file.
    pub decoder_memory: u64,
}

impl ImageHeader {
    /// Reads format and size, and checks them against the limits.
    ///
    /// # Errors
    /// See [`ImageLoadError`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ImageLoadError> {
        let format = ImageFormat::detect(bytes)?;
        let (width, height) = match format {
            ImageFormat::Png => png::dimensions(bytes),
            ImageFormat::WebP => webp::dimensions(bytes),
            ImageFormat::Jpeg => jpeg::dimensions(bytes),
        }?;
        let limit = limits.max_image_dimension;
        let pixels = u64::from(width) * u64::from(height);
        if width == 0 || height == 0 {
            Err(ImageLoadError::NoPixels { width, height })
        } else if width > limit || height > limit {
            Err(ImageLoadError::TooLarge {
                width,
                height,
                limit,
            })
        } else if pixels > limits.max_image_pixels {
            Err(ImageLoadError::TooManyPixels {
                width,
                height,
                pixels,
                limit: limits.max_image_pixels,
            })
        } else {
            let decoder_memory = match format {
                ImageFormat::Png => png::memory(bytes, width, height),
                ImageFormat::WebP => webp::memory(bytes)?,
                ImageFormat::Jpeg => jpeg::memory(bytes, width),
            };
            Ok(ImageHeader {
                format,
                width,
                height,
                decoder_memory,
            })
        }
    }
}

/// Takes the alpha plane row by row, from the top.
pub trait AlphaSink {
    /// Takes the next row: one byte of alpha for each pixel.
    ///
    /// # Errors
    /// [`Stopped`] ends decoding.
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped>;

    /// Asked again and again while there are no rows yet.
    ///
    /// # Errors
    /// [`Stopped`] ends decoding.
    fn poll(&mut self) -> Result<(), Stopped> {
        Ok(())
    }
}

/// Collects the whole plane.
impl AlphaSink for Vec<u8> {
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        self.extend_from_slice(alpha);
        Ok(())
    }
}

/// Decodes the alpha plane of an image whose header has been read.
///
/// An image without alpha is opaque. 16-bit alpha is reduced to its high byte.
///
/// # Errors
/// See [`ImageLoadError`]; [`Interrupted::Stopped`] when the sink said so.
pub fn decode_alpha(
    bytes: &[u8],
    header: &ImageHeader,
    limits: &Limits,
    sink: &mut dyn AlphaSink,
) -> Result<(), Interrupted<ImageLoadError>> {
    match header.format {
        ImageFormat::Png => png::decode_alpha(bytes, header, limits, sink),
        ImageFormat::WebP => webp::decode_alpha(bytes, header, limits, sink),
        ImageFormat::Jpeg => jpeg::decode_alpha(bytes, header, sink),
    }
}

/// What a decoder that ran out of memory it may use is told as.
fn out_of_memory(limits: &Limits) -> ImageLoadError {
    ImageLoadError::DecoderMemory {
        limit: limits.max_decoder_memory,
    }
}

/// What a decoder's error is told as: an early end, or damage.
fn damaged(format: ImageFormat, io: Option<&io::Error>, error: &dyn Display) -> ImageLoadError {
    let format = format.name();
    if io.is_some_and(|io| io.kind() == io::ErrorKind::UnexpectedEof) {
        return ImageLoadError::Truncated { format };
    }
    ImageLoadError::Corrupt {
        format,
        reason: error.to_string(),
    }
}

fn send_opaque(header: &ImageHeader, sink: &mut dyn AlphaSink) -> Result<(), Stopped> {
    let row = vec![u8::MAX; header.width as usize];
    (0..header.height).try_for_each(|_| sink.row(&row))
}
