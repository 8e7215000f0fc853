//! All of an image, colours too: for formats that take it along or draw it.

use super::{AlphaSink, ImageFormat, ImageHeader, decode_alpha, out_of_memory};
use crate::error::{ImageLoadError, Interrupted};
use crate::limits::Limits;
use crate::progress::Stopped;
use std::io::Cursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;

/// Rows of RGBA, eight bits each, alpha not multiplied in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pixels {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Four bytes for each pixel.
    pub rgba: Vec<u8>,
}

impl Pixels {
    /// Decodes an image (of an animation, the first frame).
    ///
    /// # Errors
    /// See [`ImageLoadError`].
    pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Self, ImageLoadError> {
        let header = ImageHeader::read(bytes, limits)?;
        let rgba = match header.format {
            ImageFormat::Png => png(bytes, limits)?,
            ImageFormat::WebP => webp(bytes, &header, limits)?,
            ImageFormat::Jpeg => jpeg(bytes)?,
        };
        let (width, height) = (header.width, header.height);
        if rgba.len() as u64 != 4 * u64::from(width) * u64::from(height) {
            return Err(ImageLoadError::Corrupt {
                format: header.format.name(),
                reason: "the size in its header is not that of its picture".into(),
            });
        }
        Ok(Pixels {
            width,
            height,
            rgba,
        })
    }

    /// Encodes it as PNG.
    #[must_use]
    pub fn to_png(&self) -> Vec<u8> {
        encode(self.width, self.height, &self.rgba)
            .unwrap_or_else(|_| unreachable!("writing to memory cannot fail"))
    }
}

fn encode(width: u32, height: u32, rgba: &[u8]) -> Result<Vec<u8>, png::EncodingError> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, width, height);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.write_header()?.write_image_data(rgba)?;
    Ok(bytes)
}

fn png(bytes: &[u8], limits: &Limits) -> Result<Vec<u8>, ImageLoadError> {
    let fail = |error| super::png::load_error(error, limits);
    let mut decoder = png::Decoder::new_with_limits(
        Cursor::new(bytes),
        png::Limits {
            bytes: limits.max_decoder_memory,
        },
    );
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let mut reader = decoder.read_info().map_err(fail)?;
    super::png::check_palette(reader.info())?;
    let size = reader
        .output_buffer_size()
        .ok_or_else(|| out_of_memory(limits))?;
    let mut samples = vec![0; size];
    let frame = reader.next_frame(&mut samples).map_err(fail)?;
    samples.truncate(frame.buffer_size());
    reader.finish().map_err(fail)?;
    Ok(match frame.color_type {
        png::ColorType::Rgba => samples,
        png::ColorType::Rgb | png::ColorType::Indexed => with_alpha(&samples),
        png::ColorType::Grayscale => samples.iter().flat_map(|&v| [v, v, v, u8::MAX]).collect(),
        png::ColorType::GrayscaleAlpha => samples
            .chunks_exact(2)
            .flat_map(|pixel| [pixel[0], pixel[0], pixel[0], pixel[1]])
            .collect(),
    })
}

/// Alpha and colours come by different ways.
fn webp(bytes: &[u8], header: &ImageHeader, limits: &Limits) -> Result<Vec<u8>, ImageLoadError> {
    let size = 4 * header.width as usize * header.height as usize;
    let mut alpha = AlphaOf {
        rgba: vec![0; size],
        filled: 0,
    };
    match decode_alpha(bytes, header, limits, &mut alpha) {
        // Nobody stops it.
        Ok(()) | Err(Interrupted::Stopped) => {}
        Err(Interrupted::Failed(error)) => return Err(error),
    }
    super::webp::paint(bytes, limits, &mut alpha.rgba)?;
    Ok(alpha.rgba)
}

fn jpeg(bytes: &[u8]) -> Result<Vec<u8>, ImageLoadError> {
    // The limits have been checked.
    let options = DecoderOptions::default()
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGBA);
    let bytes = zune_core::bytestream::ZCursor::new(bytes);
    let mut decoder = zune_jpeg::JpegDecoder::new_with_options(bytes, options);
    decoder.decode().map_err(super::jpeg::load_error)
}

fn with_alpha(rgb: &[u8]) -> Vec<u8> {
    rgb.chunks_exact(3)
        .flat_map(|pixel| [pixel[0], pixel[1], pixel[2], u8::MAX])
        .collect()
}

/// Fills in the alpha of pixels.
struct AlphaOf {
    rgba: Vec<u8>,
    filled: usize,
}

impl AlphaSink for AlphaOf {
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        let places = self.rgba[self.filled..].as_chunks_mut::<4>().0.iter_mut();
        for (place, alpha) in places.zip(alpha) {
            place[3] = *alpha;
        }
        self.filled += 4 * alpha.len();
        Ok(())
    }
}
