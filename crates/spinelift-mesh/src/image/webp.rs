//! WebP, lossy and lossless.

use super::watched::{SharedSink, Watched};
use super::{AlphaSink, ImageFormat, ImageHeader, damaged, out_of_memory, send_opaque};
use crate::error::{ImageLoadError, Interrupted};
use crate::limits::Limits;
use image_webp::{DecodingError, WebPDecoder};
use std::io::{BufRead, Cursor, Seek};

/// Bytes between two questions to the sink: some thousand codes, each of a pixel or a run.
const BYTES_PER_POLL: usize = 1 << 10;

pub(super) fn dimensions(bytes: &[u8], limits: &Limits) -> Result<(u32, u32), ImageLoadError> {
    Ok(open_all(bytes, limits)?.dimensions())
}

/// An upper bound of what decoding allocates, in bytes for each pixel.
///
/// A lossless image: 4 of pixels, 3 more without alpha, 1 of transforms and entropy codes. A lossy
/// one: 4 of pixels, 2 of planes and macroblocks, and 6 of alpha, which is a lossless image of its
/// own. An animation: the frame and the canvas besides. To that comes 1 for the tables of the
/// entropy codes (a file made for it may have more of them than any encoder writes), and for lossy
/// images copies of the compressed data.
pub(super) fn memory(bytes: &[u8], limits: &Limits, pixels: u64) -> u64 {
    let kind =
        open_all(bytes, limits).map(|mut decoder| (decoder.is_animated(), decoder.is_lossy()));
    let per_pixel = match kind {
        Ok((true, _)) => 22,
        Ok((false, true)) => 13,
        _ => 9,
    };
    (512 << 10) + per_pixel * pixels + 4 * bytes.len() as u64
}

pub(super) fn decode_alpha(
    bytes: &[u8],
    header: &ImageHeader,
    limits: &Limits,
    sink: &mut dyn AlphaSink,
) -> Result<(), Interrupted<ImageLoadError>> {
    let (pixels, has_alpha) = decode_pixels(bytes, limits, sink)?;
    if !has_alpha {
        return Ok(send_opaque(header, sink)?);
    }
    let mut row = Vec::with_capacity(header.width as usize);
    for pixels in pixels.chunks_exact(header.width as usize * 4) {
        row.clear();
        row.extend(pixels.chunks_exact(4).map(|pixel| pixel[3]));
        sink.row(&row)?;
    }
    Ok(())
}

/// The whole image, and whether it has alpha.
fn decode_pixels(
    bytes: &[u8],
    limits: &Limits,
    sink: &mut dyn AlphaSink,
) -> Result<(Vec<u8>, bool), Interrupted<ImageLoadError>> {
    let sink = SharedSink::new(sink);
    let fail = |error| match sink.is_stopped() {
        true => Interrupted::Stopped,
        false => Interrupted::Failed(error),
    };
    let reader = Watched::new(bytes, BYTES_PER_POLL, &sink);
    let mut decoder = open(bytes, reader, limits).map_err(fail)?;
    let size = decoder
        .output_buffer_size()
        .filter(|size| *size <= limits.max_decoder_memory)
        .ok_or_else(|| out_of_memory(limits))?;
    let mut pixels = vec![0; size];
    decoder
        .read_image(&mut pixels)
        .map_err(|error| fail(load_error(error, limits)))?;
    Ok((pixels, decoder.has_alpha()))
}

fn open_all<'a>(
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<WebPDecoder<Cursor<&'a [u8]>>, ImageLoadError> {
    open(bytes, Cursor::new(bytes), limits)
}

/// Opens the image that `reader` reads.
fn open<R: BufRead + Seek>(
    bytes: &[u8],
    reader: R,
    limits: &Limits,
) -> Result<WebPDecoder<R>, ImageLoadError> {
    if bytes.len() < declared_length(bytes) {
        return Err(ImageLoadError::Truncated { format: "WebP" });
    }
    let mut decoder = WebPDecoder::new(reader).map_err(|error| load_error(error, limits))?;
    decoder.set_memory_limit(limits.max_decoder_memory);
    Ok(decoder)
}

/// The length that the container's header gives; the decoder itself does not compare it with
/// what is there.
fn declared_length(bytes: &[u8]) -> usize {
    let field = bytes.get(4..8).and_then(|field| field.try_into().ok());
    field.map_or(usize::MAX, |field| u32::from_le_bytes(field) as usize + 8)
}

fn load_error(error: DecodingError, limits: &Limits) -> ImageLoadError {
    match &error {
        DecodingError::MemoryLimitExceeded => out_of_memory(limits),
        DecodingError::IoError(io) => damaged(ImageFormat::WebP, Some(io), &error),
        _ => damaged(ImageFormat::WebP, None, &error),
    }
}
