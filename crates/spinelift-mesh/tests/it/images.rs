//! Images that must be refused, and how.

use spinelift_mesh::image::{AlphaSink, ImageFormat, ImageHeader, decode_alpha};
use spinelift_mesh::{Fault, Limits, MeshParameters, generate};
use std::fs;
use std::path::{Path, PathBuf};

fn invalid_images() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/invalid");
    let mut paths: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    assert!(paths.len() >= 40);
    paths
}

/// What a file's name promises about the reason in the error's details.
fn expected_reason(name: &str) -> &'static str {
    match name {
        "empty-file.png" => "empty",
        "bmp.png"
        | "gif.png"
        | "svg.png"
        | "text.png"
        | "tiff.png"
        | "random-bytes.png"
        | "jpeg-marker-only.jpg" => "unknown_format",
        "png-zero-width.png" | "png-zero-height.png" | "jpeg-zero-width.jpg" => "no_pixels",
        _ if name.contains("4097") || name.contains("30000") => "too_large",
        _ if name.contains("-cut-") || name.ends_with("-cut.webp") => "truncated",
        "png-signature-only.png" => "truncated",
        _ => "corrupt",
    }
}

#[test]
fn every_invalid_image_is_refused_with_its_reason() {
    let mut wrong = Vec::new();
    for path in invalid_images() {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let bytes = fs::read(&path).unwrap();
        let result = generate(
            &bytes,
            &MeshParameters::default(),
            &Limits::default(),
            &mut (),
        );
        match result {
            Ok(_) => wrong.push(format!("{name}: was accepted")),
            Err(error) => {
                assert_eq!(error.code(), "IMAGE_LOAD_FAILED", "{name}");
                assert!(!error.advice().is_empty());
                let reason = error.details()["reason"].as_str().unwrap_or("").to_owned();
                let expected = expected_reason(&name);
                if reason != expected {
                    wrong.push(format!(
                        "{name}: expected {expected}, got {reason} ({error})"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_image_survives_being_cut_anywhere() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/formats");
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        // What follows the first picture of an animation is never read.
        if path.to_str().unwrap().contains("animated") {
            continue;
        }
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 60) {
            let result = generate(
                &bytes[..end],
                &MeshParameters::default(),
                &Limits::default(),
                &mut (),
            );
            let error = result
                .err()
                .unwrap_or_else(|| panic!("{path:?} cut at {end} was accepted"));
            assert_eq!(
                error.code(),
                "IMAGE_LOAD_FAILED",
                "{path:?} cut at {end}: {error}"
            );
            assert_eq!(error.fault(), Fault::Image);
        }
    }
}

#[test]
fn the_format_is_told_by_content() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images/formats");
    let mut seen = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let header = ImageHeader::read(&fs::read(&path).unwrap(), &Limits::default()).unwrap();
        let extension = path.extension().unwrap().to_str().unwrap().to_owned();
        seen.push((extension, header.format));
    }
    assert!(seen.contains(&("jpg".into(), ImageFormat::Png)), "{seen:?}");
    assert!(
        seen.contains(&("png".into(), ImageFormat::WebP)),
        "{seen:?}"
    );
}

#[test]
fn sixteen_bit_alpha_is_its_high_byte() {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 4, 1);
    encoder.set_color(png::ColorType::GrayscaleAlpha);
    encoder.set_depth(png::BitDepth::Sixteen);
    let samples = [0x7fffu16, 0x80ff, 0x8000, 0x00ff];
    let row: Vec<u8> = samples
        .iter()
        .flat_map(|alpha| [0, 0, (alpha >> 8) as u8, *alpha as u8])
        .collect();
    encoder
        .write_header()
        .unwrap()
        .write_image_data(&row)
        .unwrap();

    let limits = Limits::default();
    let header = ImageHeader::read(&bytes, &limits).unwrap();
    let mut plane: Vec<u8> = Vec::new();
    decode_alpha(&bytes, &header, &limits, &mut plane as &mut dyn AlphaSink).unwrap();
    assert_eq!(plane, [0x7f, 0x80, 0x80, 0x00]);
}
