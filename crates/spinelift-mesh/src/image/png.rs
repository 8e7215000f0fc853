//! PNG, decoded row by row.

use super::watched::{SharedSink, Watched};
use super::{AlphaSink, ImageFormat, ImageHeader, damaged, out_of_memory};
use crate::error::{ImageLoadError, Interrupted};
use crate::limits::Limits;
use png::{DecodingError, InterlaceInfo, Transformations};

/// Bytes, and rows of an interlaced image, between two questions to the sink.
const BYTES_PER_POLL: usize = 1 << 16;
const ROWS_PER_POLL: usize = 1 << 6;

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

/// An upper bound of what decoding allocates: the inflated rows in the decoder's buffer, which
/// grows to at least 128 KiB and doubles; rows as pixels and as alpha; the tables of the
/// decompression; the chunks that are kept; and, interlaced, the whole alpha plane.
pub(super) fn memory(bytes: &[u8], width: u32, height: u32) -> u64 {
    let field = |at: usize| u64::from(bytes.get(at).copied().unwrap_or(u8::MAX));
    let (depth, color, interlace) = (field(24), field(25), field(28));
    let samples = match color {
        0 | 3 => 1,
        4 => 2,
        2 => 3,
        _ => 4,
    };
    let row = u64::from(width) * samples * depth.min(16) / 8 + 2;
    let buffer = 3 * (4 * row).max(128 << 10);
    let plane = match interlace {
        0 => 0,
        _ => u64::from(width) * u64::from(height),
    };
    buffer + 4 * row + 6 * u64::from(width) + (256 << 10) + 4 * kept_chunks(bytes) + plane
}

/// Bytes of all chunks but those that hold pixels.
fn kept_chunks(bytes: &[u8]) -> u64 {
    let mut total = 0;
    let mut at = 8;
    while let Some(&[a, b, c, d, ref kind @ ..]) = bytes.get(at..at + 8) {
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        if kind != b"IDAT" && kind != b"fdAT" {
            total += length.min(bytes.len() - at) as u64;
        }
        at = at.saturating_add(length).saturating_add(12);
    }
    total
}

pub(super) fn decode_alpha(
    bytes: &[u8],
    header: &ImageHeader,
    limits: &Limits,
    sink: &mut dyn AlphaSink,
) -> Result<(), Interrupted<ImageLoadError>> {
    let sink = SharedSink::new(sink);
    let fail = |error| match sink.is_stopped() {
        true => Interrupted::Stopped,
        false => Interrupted::Failed(load_error(error, limits)),
    };
    let mut decoder = png::Decoder::new_with_limits(
        Watched::new(bytes, BYTES_PER_POLL, &sink),
        png::Limits {
            bytes: limits.max_decoder_memory,
        },
    );
    decoder.set_transformations(Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(fail)?;
    check_palette(reader.info())?;
    let color = reader.output_color_type().0;
    let alpha = match color {
        png::ColorType::Rgba => AlphaChannel::LastOf(4),
        png::ColorType::GrayscaleAlpha => AlphaChannel::LastOf(2),
        other => AlphaChannel::NoneIn(other.samples()),
    };

    let width = header.width as usize;
    let mut row = Vec::with_capacity(width);
    let mut plane = Vec::new();
    let mut rows = 0;
    while let Some(pixels) = reader.next_interlaced_row().map_err(fail)? {
        alpha.extract(pixels.data(), &mut row);
        match pixels.interlace() {
            InterlaceInfo::Null(_) => sink.row(&row)?,
            InterlaceInfo::Adam7(pass) => {
                rows += 1;
                if rows % ROWS_PER_POLL == 0 {
                    sink.poll()?;
                }
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

/// The decoder panics when it expands a palette whose last entry is cut. (Beside other colour
/// types a palette is only a suggestion, and not looked at.)
pub(super) fn check_palette(info: &png::Info<'_>) -> Result<(), ImageLoadError> {
    match &info.palette {
        Some(palette)
            if info.color_type == png::ColorType::Indexed && !palette.len().is_multiple_of(3) =>
        {
            Err(ImageLoadError::Corrupt {
                format: "PNG",
                reason: format!("the palette has {} bytes", palette.len()),
            })
        }
        _ => Ok(()),
    }
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

pub(super) fn load_error(error: DecodingError, limits: &Limits) -> ImageLoadError {
    match &error {
        DecodingError::LimitsExceeded => out_of_memory(limits),
        DecodingError::IoError(io) => damaged(ImageFormat::Png, Some(io), &error),
        _ => damaged(ImageFormat::Png, None, &error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn chunk(kind: &[u8; 4], data: &[u8]) -> Vec<u8> {
        let mut crc = flate2::Crc::new();
        crc.update(kind);
        crc.update(data);
        let length = (data.len() as u32).to_be_bytes();
        [&length, &kind[..], data, &crc.sum().to_be_bytes()].concat()
    }

    /// One pixel with a palette of so many bytes.
    fn indexed(palette: usize) -> Vec<u8> {
        let mut row = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        row.write_all(&[0, 0]).expect("memory takes all");
        [
            b"\x89PNG\r\n\x1a\n".to_vec(),
            chunk(b"IHDR", &[0, 0, 0, 1, 0, 0, 0, 1, 8, 3, 0, 0, 0]),
            chunk(b"PLTE", &vec![7; palette]),
            chunk(b"tRNS", &[9]),
            chunk(b"IDAT", &row.finish().expect("memory takes all")),
            chunk(b"IEND", &[]),
        ]
        .concat()
    }

    /// Found by fuzzing: the decoder panics at such a palette.
    #[test]
    fn a_palette_of_broken_length_is_an_error() {
        let decode = |palette: usize| {
            let bytes = indexed(palette);
            let header = ImageHeader::read(&bytes, &Limits::default())?;
            let mut alpha = Vec::new();
            decode_alpha(&bytes, &header, &Limits::default(), &mut alpha)?;
            Ok::<_, Interrupted<ImageLoadError>>(alpha)
        };
        for palette in [3, 6, 768] {
            assert_eq!(decode(palette), Ok(vec![9]));
        }
        for palette in [4, 5, 767] {
            let expected = ImageLoadError::Corrupt {
                format: "PNG",
                reason: format!("the palette has {palette} bytes"),
            };
            assert_eq!(decode(palette), Err(expected.into()));
        }
    }
}
