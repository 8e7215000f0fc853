//! Atlases, read by the official runtime of Spine 4.2, which knows the words of 3.8 too.

use super::spine::{draw, read};
use super::{mesh_of, sample, sprite};
use rusty_spine::Atlas;
use spinelift_mesh::export::ExportError;
use spinelift_mesh::export::atlas::{Layout, Packed, Page, pack};
use spinelift_mesh::export::spine::{Version, skeleton};
use spinelift_mesh::image::Pixels;
use spinelift_mesh::{Limits, Shape};
use std::collections::HashMap;

const NAMES: [&str; 8] = [
    "autumn-tree",
    "crawfish",
    "horse",
    "orange-fish",
    "police-officer",
    "rocket",
    "sailboat",
    "teddy-bear",
];

fn samples() -> Vec<(&'static str, Vec<u8>, Shape)> {
    NAMES
        .iter()
        .map(|name| {
            let image = sample(&format!("{name}.png"));
            let shape = mesh_of(&image);
            (*name, image, shape)
        })
        .collect()
}

fn packed(samples: &[(&str, Vec<u8>, Shape)]) -> Vec<Packed> {
    samples
        .iter()
        .map(|(name, image, shape)| {
            Packed::new(&sprite(name, shape), image, &Limits::default()).unwrap()
        })
        .collect()
}

fn pixels(page: &Page) -> Pixels {
    Pixels::decode(&page.png, &Limits::default()).unwrap()
}

fn pixel(pixels: &Pixels, x: usize, y: usize) -> &[u8] {
    let at = 4 * (y * pixels.width as usize + x);
    &pixels.rgba[at..at + 4]
}

#[test]
fn a_skeleton_finds_the_pixels_of_its_images() {
    let samples = samples();
    let sprites: Vec<_> = samples
        .iter()
        .map(|(name, _, shape)| sprite(name, shape))
        .collect();
    for version in [Version::V4_2, Version::V3_8] {
        let layout = Layout {
            max_page: 700,
            ..Layout::default()
        };
        let atlas = pack("hero", &packed(&samples), &layout, version).unwrap();
        assert!(atlas.pages.len() > 1, "pages are needed");
        let json = skeleton(&sprites, Version::V4_2, "./").unwrap();
        let mut skeleton = read(&json, &atlas.text);
        let read = Atlas::new(atlas.text.as_bytes(), "").unwrap();
        let files: Vec<_> = read.pages().map(|page| page.name().to_owned()).collect();
        let expected: Vec<_> = atlas.pages.iter().map(|page| page.file.clone()).collect();
        assert_eq!(files, expected);
        let pages: HashMap<_, _> = atlas
            .pages
            .iter()
            .map(|page| (page.file.as_str(), pixels(page)))
            .collect();
        let drawn = draw(&mut skeleton);
        assert_eq!(drawn.len(), samples.len());
        for (drawn, (name, image, shape)) in drawn.iter().zip(&samples) {
            let region = read.find_region(name).unwrap();
            let page_name = region.page().name().to_owned();
            let page = &pages[page_name.as_str()];
            let image = Pixels::decode(image, &Limits::default()).unwrap();
            // The middle of each triangle, as the runtime maps it.
            for corners in drawn.indices.as_chunks::<3>().0 {
                let middle = |of: &[[f32; 2]], axis: usize| {
                    let parts = corners.iter().map(|&corner| of[usize::from(corner)][axis]);
                    f64::from(parts.sum::<f32>()) / 3.0
                };
                let in_page = [
                    middle(&drawn.uvs, 0) * f64::from(page.width),
                    middle(&drawn.uvs, 1) * f64::from(page.height),
                ];
                let in_image = [
                    middle(&drawn.vertices, 0) + f64::from(shape.width()) / 2.0,
                    f64::from(shape.height()) / 2.0 - middle(&drawn.vertices, 1),
                ];
                // Whole pixels apart, so that both are at the same place within one.
                for axis in 0..2 {
                    let apart = in_page[axis] - in_image[axis];
                    assert!((apart - apart.round()).abs() < 1e-2, "{name} {apart}");
                }
                let shift = [0, 1].map(|axis| (in_page[axis] - in_image[axis]).round());
                let [x, y] = in_image.map(f64::floor);
                assert_eq!(
                    pixel(page, (x + shift[0]) as usize, (y + shift[1]) as usize),
                    pixel(&image, x as usize, y as usize),
                    "{name} {x} {y}"
                );
            }
        }
    }
}

#[test]
fn images_are_apart_and_pages_within_their_bounds() {
    let samples = samples();
    for (padding, powers_of_two, max_page) in [(0, true, 1500), (2, false, 720), (7, true, 1025)] {
        let layout = Layout {
            max_page,
            padding,
            powers_of_two,
        };
        let atlas = pack("hero", &packed(&samples), &layout, Version::V4_2).unwrap();
        let read = Atlas::new(atlas.text.as_bytes(), "").unwrap();
        for (page, described) in atlas.pages.iter().zip(read.pages()) {
            let pixels = pixels(page);
            let size = (pixels.width as i32, pixels.height as i32);
            assert_eq!((described.width(), described.height()), size);
            assert!(pixels.width <= max_page && pixels.height <= max_page);
            let is_power = pixels.width.is_power_of_two() && pixels.height.is_power_of_two();
            assert!(is_power || !powers_of_two, "{size:?}");
        }
        let regions: Vec<_> = read
            .regions()
            .map(|region| {
                let (x, y) = (region.x(), region.y());
                let page = region.page().name().to_owned();
                let size = (region.page().width(), region.page().height());
                assert!(
                    x + region.texture_region().width() <= size.0
                        && y + region.texture_region().height() <= size.1
                );
                (
                    page,
                    [x, y],
                    [
                        x + region.texture_region().width(),
                        y + region.texture_region().height(),
                    ],
                )
            })
            .collect();
        assert_eq!(regions.len(), samples.len());
        for (index, (page, low, high)) in regions.iter().enumerate() {
            for (other, other_low, other_high) in &regions[index + 1..] {
                let padding = padding as i32;
                let apart = |axis: usize| {
                    low[axis] >= other_high[axis] + padding
                        || other_low[axis] >= high[axis] + padding
                };
                assert!(page != other || apart(0) || apart(1));
            }
        }
    }
}

#[test]
fn pages_are_powers_of_two_on_request() {
    let samples = samples();
    let layout = Layout {
        powers_of_two: true,
        ..Layout::default()
    };
    let atlas = pack("hero", &packed(&samples), &layout, Version::V4_2).unwrap();
    assert_eq!(atlas.pages.len(), 1);
    assert_eq!(atlas.pages[0].file, "hero.png");
    let page = pixels(&atlas.pages[0]);
    assert!(page.width.is_power_of_two() && page.height.is_power_of_two());
    let tight = pack("hero", &packed(&samples), &Layout::default(), Version::V4_2).unwrap();
    let tight = pixels(&tight.pages[0]);
    assert!(tight.width <= page.width && tight.height <= page.height);
}

/// Of the large ones there is room for one on each page, and beside it for many small ones.
#[test]
fn small_images_take_the_room_that_large_ones_leave() {
    let images: Vec<_> = (0..33)
        .map(|index| {
            let side = if index % 11 == 0 { 60 } else { 10 };
            let pixels = vec![255; side * side];
            let side = side as u32;
            let image = crate::drawing::png(side, side, png::ColorType::Grayscale, &pixels);
            let right = f64::from(side);
            let corners = vec![[0.0, 0.0], [right, 0.0], [right, right], [0.0, right]];
            let shape = Shape::new([side, side], corners, vec![[0, 1, 2], [0, 2, 3]]).unwrap();
            let name = format!("image-{index}");
            Packed::new(&sprite(&name, &shape), &image, &Limits::default()).unwrap()
        })
        .collect();
    let layout = Layout {
        max_page: 100,
        ..Layout::default()
    };
    let atlas = pack("hero", &images, &layout, Version::V4_2).unwrap();
    let read = Atlas::new(atlas.text.as_bytes(), "").unwrap();
    let first = read
        .regions()
        .filter(|region| region.page().name() == "hero.png");
    assert_eq!((atlas.pages.len(), first.count()), (3, 31));
}

#[test]
fn an_image_larger_than_a_page_is_named() {
    let samples = samples();
    let layout = Layout {
        max_page: 20,
        ..Layout::default()
    };
    let error = pack("hero", &packed(&samples), &layout, Version::V4_2).unwrap_err();
    assert!(
        matches!(&error, ExportError::PageTooSmall { name, limit: 20, .. } if name == NAMES[0]),
        "{error}"
    );
}

#[test]
fn another_image_than_the_meshes_is_refused() {
    let samples = samples();
    let (_, _, shape) = &samples[0];
    let (_, image, _) = samples
        .iter()
        .find(|(_, _, other)| other.width() != shape.width())
        .unwrap();
    let packed = Packed::new(&sprite("art", shape), image, &Limits::default());
    assert!(matches!(packed, Err(ExportError::OtherImage { .. })));
}
