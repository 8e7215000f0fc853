//! The colours of the first picture.
//!
//! What is lossless is decoded as its alpha is, within the same bounds: the crate for the rest
//! would take gigabytes for a small file. To that crate a lossy picture is given alone, so that it
//! sees nothing of the file that has not been seen here.

use super::container::{Frame, Picture, Stream};
use super::lossless::Rows;
use super::{corrupt, decode_lossless};
use crate::error::{ImageLoadError, Interrupted};
use crate::limits::Limits;
use crate::progress::Stopped;
use image_webp::{DecodingError, WebPDecoder};
use std::io::Cursor;

/// Puts the colours into rows of RGBA of the whole image, and leaves the alpha as it is.
pub(in crate::image) fn paint(
    bytes: &[u8],
    limits: &Limits,
    rgba: &mut [u8],
) -> Result<(), ImageLoadError> {
    let picture = Picture::read(bytes)?;
    let mut canvas = Canvas {
        rgba,
        width: picture.width as usize,
        place: picture.place,
        row: 0,
    };
    match picture.stream {
        Stream::Lossless { data, .. } => {
            match decode_lossless(data, picture.place, limits, &mut canvas) {
                Err(Interrupted::Failed(error)) => Err(error),
                // Nobody stops it.
                Ok(()) | Err(Interrupted::Stopped) => Ok(()),
            }
        }
        Stream::Lossy(data) => {
            let rgb = lossy(data, picture.place)?;
            let row = 3 * picture.place.width as usize;
            for row in rgb.chunks_exact(row) {
                canvas.put(row.as_chunks().0.iter().copied());
            }
            Ok(())
        }
    }
}

/// Red, green and blue of each pixel.
fn lossy(data: &[u8], place: Frame) -> Result<Vec<u8>, ImageLoadError> {
    let fail = |error: DecodingError| corrupt(error.to_string());
    let mut decoder = WebPDecoder::new(Cursor::new(alone(data))).map_err(fail)?;
    let size = 3 * u64::from(place.width) * u64::from(place.height);
    if decoder.dimensions() != (place.width, place.height) || decoder.has_alpha() {
        return Err(corrupt("the sizes in its headers differ"));
    }
    let mut rgb = vec![0; size as usize];
    decoder.read_image(&mut rgb).map_err(fail)?;
    Ok(rgb)
}

/// A file with nothing but a lossy picture in it.
fn alone(data: &[u8]) -> Vec<u8> {
    let padding = data.len() & 1;
    let mut file = Vec::with_capacity(20 + data.len() + padding);
    file.extend(b"RIFF");
    file.extend((12 + (data.len() + padding) as u32).to_le_bytes());
    file.extend(b"WEBPVP8 ");
    file.extend((data.len() as u32).to_le_bytes());
    file.extend(data);
    file.resize(file.len() + padding, 0);
    file
}

/// The image, of which one frame is painted row by row.
struct Canvas<'a> {
    rgba: &'a mut [u8],
    width: usize,
    place: Frame,
    row: usize,
}

impl Canvas<'_> {
    fn put(&mut self, pixels: impl Iterator<Item = [u8; 3]>) {
        let (left, top) = (self.place.left as usize, self.place.top as usize);
        let start = 4 * ((top + self.row) * self.width + left);
        let places = self.rgba[start..].as_chunks_mut::<4>().0.iter_mut();
        for (place, [red, green, blue]) in places.zip(pixels) {
            [place[0], place[1], place[2]] = [red, green, blue];
        }
        self.row += 1;
    }
}

impl Rows for Canvas<'_> {
    fn row(&mut self, pixels: &[u32]) -> Result<(), Stopped> {
        self.put(pixels.iter().map(|pixel| {
            let [_, red, green, blue] = pixel.to_be_bytes();
            [red, green, blue]
        }));
        Ok(())
    }

    fn poll(&mut self) -> Result<(), Stopped> {
        Ok(())
    }
}
