//! Any bytes → header → rows of alpha, and colours.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spinelift_mesh::Limits;
use spinelift_mesh::image::{AlphaSink, ImageHeader, Pixels, decode_alpha};
use spinelift_mesh::progress::Stopped;

const LIMITS: Limits = Limits {
    max_image_dimension: 512,
    max_decoder_memory: 16 << 20,
    ..Limits::DEFAULT
};

/// Checks rows as they come.
struct Rows {
    width: u32,
    height: u32,
    count: u32,
}

impl AlphaSink for Rows {
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        assert_eq!(alpha.len(), self.width as usize, "length of a row");
        self.count += 1;
        assert!(self.count <= self.height, "too many rows");
        Ok(())
    }
}

fuzz_target!(|bytes: &[u8]| {
    let header = match ImageHeader::read(bytes, &LIMITS) {
        Ok(header) => header,
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    let ImageHeader { width, height, .. } = header;
    let allowed = 1..=LIMITS.max_image_dimension;
    assert!(allowed.contains(&width) && allowed.contains(&height));
    let mut rows = Rows {
        width,
        height,
        count: 0,
    };
    if decode_alpha(bytes, &header, &LIMITS, &mut rows).is_ok() {
        assert_eq!(rows.count, height, "number of rows");
    }
    match Pixels::decode(bytes, &LIMITS) {
        Ok(pixels) => {
            assert_eq!((pixels.width, pixels.height), (width, height));
            assert_eq!(pixels.rgba.len(), 4 * width as usize * height as usize);
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
});
