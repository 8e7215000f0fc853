//! Images to make meshes of.

use std::fs;
use std::path::Path;

/// A star with as many rays as asked for; another number gives another image and another mesh.
pub(crate) fn star(size: u32, rays: u32) -> Vec<u8> {
    let centre = f64::from(size) / 2.0;
    let pixels = (0..size * size).flat_map(|index| {
        let (x, y) = (
            f64::from(index % size) + 0.5 - centre,
            f64::from(index / size) + 0.5 - centre,
        );
        let edge = centre * (0.7 + 0.25 * (y.atan2(x) * f64::from(rays)).sin());
        let alpha = if x.hypot(y) < edge { 255 } else { 0 };
        [255, 160, 40, alpha]
    });
    encode(size, &pixels.collect::<Vec<u8>>())
}

/// Stars in the four corners, and nothing between them.
pub(crate) fn four_stars(size: u32) -> Vec<u8> {
    let visible = |x: u32, y: u32| {
        let centre = f64::from(size) / 4.0;
        let offset = |at: u32| f64::from(at % (size / 2)) + 0.5 - centre;
        let (x, y) = (offset(x), offset(y));
        x.hypot(y) < centre * (0.7 + 0.2 * (y.atan2(x) * 5.0).sin())
    };
    let pixels = (0..size * size).flat_map(|index| {
        let alpha = u8::from(visible(index % size, index / size)) * 255;
        [255, 160, 40, alpha]
    });
    encode(size, &pixels.collect::<Vec<u8>>())
}

/// An image that shows nothing.
pub(crate) fn transparent(size: u32) -> Vec<u8> {
    encode(size, &vec![0; (size * size * 4) as usize])
}

fn encode(size: u32, rgba: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, size, size);
    encoder.set_color(png::ColorType::Rgba);
    encoder.set_depth(png::BitDepth::Eight);
    encoder
        .write_header()
        .unwrap()
        .write_image_data(rgba)
        .unwrap();
    bytes
}

/// Writes a file, and the folders it lies in.
pub(crate) fn save(root: &Path, name: &str, bytes: &[u8]) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}
