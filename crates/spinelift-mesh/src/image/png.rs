//! PNG, decoded row by row.

use super::{AlphaSink, ImageHeader};
use crate::error::{ImageLoadError, Interrupted};
use crate::limits::Limits;
use png::{DecodingError, InterlaceInfo, Transformations};
use std::io::{self, Cursor};

/// Width and height stand at fixed places behind the signature; reading them here tells a size
/// of zero or a gigantic one apart from a broken file, before the decoder sees the bytes.
pub(super) fn dimensions(bytes: &[u8]) -> Result<(u32, u32), ImageLoadError> {
    let field = |at: usize| -> Option<[u8; 4]> { bytes.get(at..at + 4)?.try_into().ok() };
    match (field(12), field(16), field(20)) {
        (Some(kind), _, _) if &kind != b"IHDR" => Err(ImageLoadError::Corrupt {
            format: "PNG",
            reason: "the first chunk is not IHDR".into(),
        }),
        (_, Some(width), Some(height)) => {
            Ok((u32::from_be_bytes(width), u32::from_be_bytes(height)))
        }
        _ => Err(ImageLoadError::Truncated { format: "PNG" }),
    }
}

pub(super) fn decode_alpha(
    bytes: &[u8],
    header: &ImageHeader,
    limits: &Limits,
    sink: &mut dyn AlphaSink,
) -> Result<(), Interrupted<ImageLoadError>> {
    let fail = |error| Interrupted::Failed(load_error(error, limits));
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits {
            bytes: limits.max_decoder_memory,
        },
    );
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(fail)?;
    let color = reader.output_color_type().0;
    let alpha = match color {
        png::ColorType::Rgba => AlphaChannel::LastOf(4),
        png::ColorType::GrayscaleAlpha => AlphaChannel::LastOf(2),
        other => AlphaChannel::NoneIn(other.samples()),
    };

    let width = header.width as usize;
    let mut row = Vec::with_capacity(width);
    let mut plane = Vec::new();
    while let Some(pixels) = reader.next_interlaced_row().map_err(fail)? {
        alpha.extract(pixels.data(), &mut row);
        match pixels.interlace() {
            InterlaceInfo::Null(_) => sink.row(&row)?,
            InterlaceInfo::Adam7(pass) => {
                plane.resize(width * header.height as usize, 0);
                png::expand_interlaced_row(&mut plane, width, &row, pass, 8);
            }
        }
    }
    // The end of the file holds the last checksums: a truncated or damaged one shows here.
    reader.finish().map_err(fail)?;
    plane
        .chunks_exact(width)
        .try_for_each(|row| sink.row(row))?;
    Ok(())
}

/// Where alpha stands among the samples of a pixel.
enum AlphaChannel {
    LastOf(usize),
    NoneIn(usize),
}

impl AlphaChannel {
    fn extract(&self, pixels: &[u8], row: &mut Vec<u8>) {
        row.clear();
        match *self {
            AlphaChannel::LastOf(4) => row.extend(pixels.chunks_exact(4).map(|pixel| pixel[3])),
            AlphaChannel::LastOf(samples) => {
                row.extend(pixels.chunks_exact(samples).map(|pixel| pixel[samples - 1]));
            }
            AlphaChannel::NoneIn(samples) => row.resize(pixels.len() / samples, u8::MAX),
        }
    }
}

fn load_error(error: DecodingError, limits: &Limits) -> ImageLoadError {
    match error {
        DecodingError::LimitsExceeded => ImageLoadError::DecoderMemory {
            limit: limits.max_decoder_memory,
        },
        DecodingError::IoError(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            ImageLoadError::Truncated { format: "PNG" }
        }
        other => ImageLoadError::Corrupt {
            format: "PNG",
            reason: other.to_string(),
        },
    }
}
