//! JPEG: no alpha, so the pixels are never decoded; the header and the end are checked.

use super::{AlphaSink, ImageHeader, send_opaque};
use crate::error::{ImageLoadError, Interrupted};
use crate::progress::Stopped;
use zune_core::bytestream::ZCursor;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

/// Bytes between two questions to the sink.
const BYTES_PER_POLL: usize = 1 << 20;

pub(super) fn dimensions(bytes: &[u8]) -> Result<(u32, u32), ImageLoadError> {
    let options = zune_core::options::DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX));
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(load_error)?;
    match decoder.info() {
        Some(info) => Ok((u32::from(info.width), u32::from(info.height))),
        None => Err(ImageLoadError::Truncated { format: "JPEG" }),
    }
}

/// The header's tables and a row; the metadata that is copied is part of the file.
pub(super) fn memory(bytes: &[u8], width: u32) -> u64 {
    (64 << 10) + u64::from(width) + 2 * bytes.len() as u64
}

pub(super) fn decode_alpha(
    bytes: &[u8],
    header: &ImageHeader,
    sink: &mut dyn AlphaSink,
) -> Result<(), Interrupted<ImageLoadError>> {
    if !has_end_of_image(bytes, sink)? {
        return Err(ImageLoadError::Truncated { format: "JPEG" }.into());
    }
    Ok(send_opaque(header, sink)?)
}

/// Whether the end-of-image marker is there; some writers pad the file behind it.
fn has_end_of_image(bytes: &[u8], sink: &mut dyn AlphaSink) -> Result<bool, Stopped> {
    let mut end = bytes.len();
    while end >= 2 {
        sink.poll()?;
        let start = end.saturating_sub(BYTES_PER_POLL);
        if bytes[start..end]
            .windows(2)
            .rev()
            .any(|pair| pair == [0xff, 0xd9])
        {
            return Ok(true);
        }
        // The marker may lie across the border of two blocks.
        end = if start == 0 { 0 } else { start + 1 };
    }
    Ok(false)
}

pub(super) fn load_error(error: DecodeErrors) -> ImageLoadError {
    match error {
        DecodeErrors::ZeroError => ImageLoadError::NoPixels {
            width: 0,
            height: 0,
        },
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_) => {
            ImageLoadError::Truncated { format: "JPEG" }
        }
        other => ImageLoadError::Corrupt {
            format: "JPEG",
            reason: format!("{other:?}"),
        },
    }
}
