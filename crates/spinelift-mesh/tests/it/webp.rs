//! WebP against an independent decoder.

use spinelift_mesh::Limits;
use spinelift_mesh::image::{AlphaSink, ImageFormat, ImageHeader, decode_alpha};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

fn committed(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/images")
        .join(folder);
    let entries = fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

fn alpha(bytes: &[u8]) -> Vec<u8> {
    let limits = Limits::default();
    let header = ImageHeader::read(bytes, &limits).unwrap();
    let mut plane = Vec::new();
    decode_alpha(bytes, &header, &limits, &mut plane as &mut dyn AlphaSink).unwrap();
    plane
}

fn reference(bytes: &[u8]) -> Vec<u8> {
    let mut decoder = image_webp::WebPDecoder::new(Cursor::new(bytes)).unwrap();
    let mut pixels = vec![0; decoder.output_buffer_size().unwrap()];
    decoder.read_image(&mut pixels).unwrap();
    match decoder.has_alpha() {
        true => pixels.chunks_exact(4).map(|pixel| pixel[3]).collect(),
        false => vec![u8::MAX; pixels.len() / 3],
    }
}

#[test]
fn alpha_is_what_an_independent_decoder_finds() {
    let mut count = 0;
    let mut paths = [committed("formats"), committed("large"), committed("webp")].concat();
    if let Ok(folder) = std::env::var("WEBP_FOLDER") {
        let entries = fs::read_dir(folder).unwrap();
        paths.extend(entries.map(|entry| entry.unwrap().path()));
    }
    for path in paths {
        let bytes = fs::read(&path).unwrap();
        if ImageFormat::detect(&bytes) != Ok(ImageFormat::WebP) {
            continue;
        }
        let (found, expected) = (alpha(&bytes), reference(&bytes));
        let different = found.iter().zip(&expected).position(|(a, b)| a != b);
        assert_eq!(found.len(), expected.len(), "{path:?}");
        assert_eq!(different, None, "{path:?}");
        count += 1;
    }
    assert!(count >= 8, "{count} files");
}
