//! The estimate of memory against what is allocated.

use crate::drawing::{interlaced, png};
use spinelift_mesh::export::{Format, Sprite, write};
use spinelift_mesh::image::ImageHeader;
use spinelift_mesh::import::Document;
use spinelift_mesh::parameters::{IslandMode, Symmetry};
use spinelift_mesh::{Limits, MeshParameters, generate, memory};
use std::fs;
use std::path::Path;

const SIZE: usize = 2048;

fn rgba(alpha: &mut dyn FnMut(usize, usize) -> bool) -> Vec<u8> {
    let pixel = |index: usize| [9, 9, 9, u8::from(alpha(index % SIZE, index / SIZE)) * 255];
    (0..SIZE * SIZE).flat_map(pixel).collect()
}

fn encoded(pixels: &[u8]) -> Vec<u8> {
    png(SIZE as u32, SIZE as u32, png::ColorType::Rgba, pixels)
}

fn blob() -> Vec<u8> {
    rgba(&mut |x, y| {
        let (dx, dy) = (x as f64 - 1024.0, y as f64 - 1024.0);
        dx.hypot(dy) < 850.0 + 75.0 * (dy.atan2(dx) * 9.0).sin()
    })
}

fn noise(percent: u64) -> Vec<u8> {
    let mut state = 1u64;
    rgba(&mut |_, _| {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 33) % 100 < percent
    })
}

fn spiral(pitch: f64) -> Vec<u8> {
    rgba(&mut |x, y| {
        let (dx, dy) = (x as f64 - 1024.0, y as f64 - 1024.0);
        let turn = dx.hypot(dy) / pitch - dy.atan2(dx) / std::f64::consts::TAU;
        turn.rem_euclid(1.0) < 0.5 && dx.hypot(dy) < 1020.0
    })
}

fn webp(pixels: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let size = SIZE as u32;
    image_webp::WebPEncoder::new(&mut bytes)
        .encode(pixels, size, size, image_webp::ColorType::Rgba8)
        .unwrap();
    bytes
}

/// So large that the masks take more than the decoder.
fn largest_opaque() -> Vec<u8> {
    let pixels = vec![0; 4096 * 4096];
    png(4096, 4096, png::ColorType::Grayscale, &pixels)
}

fn committed(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/images");
    fs::read(folder.join(name)).unwrap()
}

fn images() -> Vec<(&'static str, Vec<u8>)> {
    let blob = blob();
    let mut images = vec![
        ("blob", encoded(&blob)),
        ("noise 50 %", encoded(&noise(50))),
        // Where a border is longest.
        ("noise 41 %", encoded(&noise(41))),
        ("noise 22 %", encoded(&noise(22))),
        ("spiral", encoded(&spiral(24.0))),
        ("fine spiral", encoded(&spiral(4.0))),
        ("full frame", encoded(&rgba(&mut |_, _| true))),
        (
            "islands",
            encoded(&rgba(&mut |x, y| x % 12 < 6 && y % 12 < 6)),
        ),
        ("comb", encoded(&rgba(&mut |x, y| x % 2 == 0 || y == 0))),
        ("largest, opaque", largest_opaque()),
        ("interlaced PNG", interlaced(SIZE, &blob)),
        ("interlaced noise", interlaced(SIZE, &noise(41))),
        ("lossless WebP", webp(&blob)),
        ("lossless WebP of noise", webp(&noise(41))),
    ];
    for name in [
        "large/lossy-alpha.webp",
        "large/lossy-opaque.webp",
        "webp/lossy-gradient-raw.webp",
        "webp/lossless-photo-6.webp",
        "large/progressive.jpg",
        "formats/webp-lossless-opaque.webp",
        "formats/webp-animated.webp",
        "formats/jpeg-baseline.jpg",
        "formats/rgba-8-ancillary-chunks.png",
    ] {
        images.push((name, committed(name)));
    }
    images
}

fn parameters() -> [(&'static str, MeshParameters); 7] {
    let default = MeshParameters::default();
    let mut apart = MeshParameters::COVER;
    apart.outline.islands = IslandMode::Separate;
    apart.outline.padding = 0.5;
    apart.outline.symmetry = Symmetry::Vertical;
    [
        ("cover", MeshParameters::COVER),
        ("cover, islands apart", apart),
        ("default", default),
        (
            "largest blur",
            MeshParameters {
                blur_kernel_size: 21,
                ..default
            },
        ),
        (
            "most detail",
            MeshParameters {
                detail_factor: 0.05,
                ..default
            },
        ),
        (
            "dense",
            MeshParameters {
                internal_vertex_density: 55,
                ..default
            },
        ),
        (
            "dense and detailed",
            MeshParameters {
                internal_vertex_density: 20,
                detail_factor: 0.05,
                ..default
            },
        ),
    ]
}

/// Bytes that a run and its JSON allocate at their peak.
fn measured(image: &[u8], parameters: &MeshParameters, limits: &Limits) -> u64 {
    let run = || {
        if let Ok(mesh) = generate(image, parameters, limits, &mut ()) {
            std::hint::black_box(mesh.to_json());
        }
    };
    allocation_counter::measure(run).bytes_max
}

#[test]
fn no_image_takes_more_memory_than_estimated() {
    let limits = Limits::default();
    let mut beyond = Vec::new();
    for (name, image) in images() {
        let header = ImageHeader::read(&image, &limits).unwrap();
        for (set, parameters) in parameters() {
            let estimate = memory::peak(&header, &parameters, &limits);
            let peak = measured(&image, &parameters, &limits);
            let ratio = estimate as f64 / peak as f64;
            if ratio < 1.0 {
                beyond.push(format!("{name}, {set}: {peak} > {estimate}"));
            }
            if name == "blob" && set == "default" && ratio > 2.0 {
                beyond.push(format!("the plain blob: {ratio:.2} times what it takes"));
            }
        }
    }
    assert!(beyond.is_empty(), "{}", beyond.join("\n"));
}

/// Bytes that reading a result and writing it in a format allocate at their peak.
fn measured_export(json: &[u8], image: Option<&[u8]>, format: Format, limits: &Limits) -> u64 {
    let run = || {
        let Ok(Document::Mesh(mesh)) = Document::read(json, limits) else {
            panic!("a mesh");
        };
        let shape = mesh.shape(mesh.size.unwrap()).unwrap();
        let sprite = Sprite {
            name: "art",
            texture: "art.png",
            shape: &shape,
        };
        std::hint::black_box(write(format, &sprite, image, limits).unwrap());
    };
    allocation_counter::measure(run).bytes_max
}

#[test]
fn no_export_takes_more_memory_than_estimated() {
    let limits = Limits::default();
    let default = MeshParameters::default();
    let dense = MeshParameters {
        internal_vertex_density: 20,
        ..default
    };
    let blob = blob();
    let cases = [
        ("PNG", encoded(&blob), default),
        ("PNG, dense", encoded(&blob), dense),
        ("interlaced PNG", interlaced(SIZE, &blob), default),
        ("lossless WebP", webp(&blob), default),
        ("lossy WebP", committed("large/lossy-alpha.webp"), default),
        ("JPEG", committed("large/progressive.jpg"), default),
    ];
    let mut beyond = Vec::new();
    for (name, image, parameters) in cases {
        let header = ImageHeader::read(&image, &limits).unwrap();
        let json = generate(&image, &parameters, &limits, &mut ())
            .unwrap()
            .to_json();
        for format in Format::ALL {
            let header = format.needs_image().then_some(&header);
            let estimate = memory::export(header, json.len());
            let image = header.map(|_| &image[..]);
            let peak = measured_export(&json, image, format, &limits);
            if peak > estimate {
                beyond.push(format!("{name}, {format:?}: {peak} > {estimate}"));
            }
        }
    }
    assert!(beyond.is_empty(), "{}", beyond.join("\n"));
}
