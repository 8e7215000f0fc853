//! SVG and PNG: what they show, and that they show the same.

use super::{mesh_of, sample, sprite};
use resvg::{tiny_skia, usvg};
use spinelift_mesh::export::{Format, write};
use spinelift_mesh::image::Pixels;
use spinelift_mesh::{Limits, Shape};

fn export(format: Format, shape: &Shape, image: Option<&[u8]>) -> Vec<u8> {
    write(format, &sprite("art", shape), image, &Limits::default()).unwrap()
}

fn drawn(png: &[u8]) -> Pixels {
    Pixels::decode(png, &Limits::default()).unwrap()
}

/// The SVG as a renderer of SVG draws it.
fn rendered(svg: &[u8]) -> Pixels {
    let tree = usvg::Tree::from_data(svg, &usvg::Options::default()).unwrap();
    let size = tree.size().to_int_size();
    let mut canvas = tiny_skia::Pixmap::new(size.width(), size.height()).unwrap();
    resvg::render(
        &tree,
        tiny_skia::Transform::identity(),
        &mut canvas.as_mut(),
    );
    Pixels {
        width: canvas.width(),
        height: canvas.height(),
        rgba: canvas.take_demultiplied(),
    }
}

/// The mean difference of their samples, of 255.
fn difference(one: &Pixels, other: &Pixels) -> f64 {
    assert_eq!((one.width, one.height), (other.width, other.height));
    let samples = one.rgba.iter().zip(&other.rgba);
    let sum: u64 = samples.map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
    sum as f64 / one.rgba.len() as f64
}

#[test]
fn the_png_is_what_the_svg_shows() {
    for name in ["rocket.png", "teddy-bear.png"] {
        let image = sample(name);
        let shape = mesh_of(&image);
        let png = drawn(&export(Format::Png, &shape, Some(&image)));
        let svg = rendered(&export(Format::Svg, &shape, Some(&image)));
        let found = difference(&png, &svg);
        assert!(found < 1.0, "{name}: {found}");
        // It is no picture of nothing, so the image without its mesh must differ.
        let other = rendered(&export(Format::Svg, &shape, None));
        assert!(difference(&png, &other) > 5.0);
    }
}

/// Of a large image, which is reduced.
#[test]
fn image_mesh_and_checkerboard_are_where_they_belong() {
    let side = 1600_u32;
    let pixels = (0..side * side).flat_map(|index| {
        let (x, y) = (index % side, index / side);
        let visible = (400..1200).contains(&x) && (400..1200).contains(&y);
        [0, 128, 0, if visible { 255 } else { 0 }]
    });
    let pixels: Vec<u8> = pixels.collect();
    let image = crate::drawing::png(side, side, png::ColorType::Rgba, &pixels);
    let corners = vec![
        [400.0, 400.0],
        [400.0, 1200.0],
        [1200.0, 1200.0],
        [1200.0, 400.0],
    ];
    let shape = Shape::new([side, side], corners, vec![[0, 2, 1], [0, 3, 2]]).unwrap();
    for picture in [
        drawn(&export(Format::Png, &shape, Some(&image))),
        rendered(&export(Format::Svg, &shape, Some(&image))),
    ] {
        assert_eq!((picture.width, picture.height), (1200, 1200));
        let at = |x: usize, y: usize| {
            let start = 4 * (1200 * y + x);
            <[u8; 4]>::try_from(&picture.rgba[start..start + 4]).unwrap()
        };
        // Two squares of the checkerboard, one shaded and one not.
        assert_eq!(at(4, 4), [0xd8, 0xdb, 0xe0, 255]);
        assert_eq!(at(12, 4), [255, 255, 255, 255]);
        // Below the mesh, off its lines: green with a share of blue.
        let [red, green, blue, alpha] = at(700, 500);
        assert_eq!(alpha, 255);
        assert!(green > 100 && blue > 20 && red < 20, "{red} {green} {blue}");
        // Between two vertices of the outline.
        assert_eq!(at(600, 300), [0xff, 0x2d, 0x87, 255]);
        // A vertex.
        assert_eq!(at(300, 300), [0xff, 0xd2, 0x3f, 255]);
    }
}

#[test]
fn odd_sizes_are_drawn() {
    for (width, height) in [(1, 1), (1, 4096), (4096, 1)] {
        let pixels = vec![255; width * height];
        let (width, height) = (width as u32, height as u32);
        let image = crate::drawing::png(width, height, png::ColorType::Grayscale, &pixels);
        let (right, bottom) = (f64::from(width), f64::from(height));
        let corners = vec![[0.0, 0.0], [0.0, bottom], [right, bottom], [right, 0.0]];
        let shape = Shape::new([width, height], corners, vec![[0, 2, 1], [0, 3, 2]]).unwrap();
        let picture = drawn(&export(Format::Png, &shape, Some(&image)));
        assert!(picture.width.max(picture.height) >= 640);
    }
}

/// Colours of each format that is read, against what the image shows.
#[test]
fn every_format_of_images_is_decoded() {
    let decode = |bytes: &[u8]| Pixels::decode(bytes, &Limits::default()).unwrap();
    let png = |color, samples: &[u8]| decode(&crate::drawing::png(1, 1, color, samples)).rgba;
    assert_eq!(png(png::ColorType::Grayscale, &[7]), [7, 7, 7, 255]);
    assert_eq!(png(png::ColorType::GrayscaleAlpha, &[7, 8]), [7, 7, 7, 8]);
    assert_eq!(png(png::ColorType::Rgb, &[1, 2, 3]), [1, 2, 3, 255]);
    assert_eq!(png(png::ColorType::Rgba, &[1, 2, 3, 4]), [1, 2, 3, 4]);
    let pixels: Vec<u8> = (0..=255).collect();
    assert_eq!(decode(&crate::drawing::interlaced(8, &pixels)).rgba, pixels);
    let mut webp = Vec::new();
    image_webp::WebPEncoder::new(&mut webp)
        .encode(&pixels, 8, 8, image_webp::ColorType::Rgba8)
        .unwrap();
    assert_eq!(decode(&webp).rgba, pixels);
    // Encoding again changes nothing.
    assert_eq!(decode(&decode(&webp).to_png()), decode(&webp));
}
