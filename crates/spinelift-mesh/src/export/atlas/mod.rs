//! A texture atlas for a Spine skeleton: pages as PNG, and the text that says what is where.
//!
//! Of each image what lies below its mesh is kept, with a pixel around it, since no more is drawn.

mod sheet;

use super::name::{Taken, plain};
use super::picture::pixels_of;
use super::spine::Version;
use super::{ExportError, Sprite};
use crate::image::Pixels;
use crate::limits::Limits;
use sheet::Sheet;
use std::collections::HashSet;

/// How an atlas is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The largest width and height of a page, in pixels. Default 2048.
    pub max_page: u32,
    /// Transparent pixels between two images. Default 2.
    pub padding: u32,
    /// Whether width and height of each page are powers of two. Default false: a page is no larger
    /// than what is on it.
    pub powers_of_two: bool,
}

impl Layout {
    /// The longest side that a page may have.
    fn longest_side(&self) -> u32 {
        match self.powers_of_two {
            true => 1 << self.max_page.max(1).ilog2(),
            false => self.max_page,
        }
    }
}

impl Default for Layout {
    fn default() -> Self {
        Layout {
            max_page: 2048,
            padding: 2,
            powers_of_two: false,
        }
    }
}

/// A packed atlas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Atlas {
    /// The `.atlas` file.
    pub text: String,
    /// Its pages.
    pub pages: Vec<Page>,
}

/// A page of an [`Atlas`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    /// The file that the text expects it in.
    pub file: String,
    /// PNG, alpha not multiplied in.
    pub png: Vec<u8>,
}

/// A sprite whose image is to be packed.
#[derive(Debug)]
pub struct Packed {
    name: String,
    size: [u32; 2],
    left: u32,
    top: u32,
    pixels: Pixels,
}

impl Packed {
    /// Decodes an image and keeps what its mesh shows of it.
    ///
    /// # Errors
    /// The image cannot be loaded, or is another than the mesh was made of.
    pub fn new(sprite: &Sprite<'_>, image: &[u8], limits: &Limits) -> Result<Self, ExportError> {
        let pixels = pixels_of(image, sprite.shape, limits)?;
        let vertices = sprite.shape.vertices();
        // With the pixel that filtering at the outline reaches.
        let span = |axis: usize, size: u32| {
            let places = vertices.iter().map(|vertex| vertex[axis]);
            let low = places.clone().fold(f64::INFINITY, f64::min).floor() - 1.0;
            let high = places.fold(f64::NEG_INFINITY, f64::max).ceil() + 1.0;
            let within = |place: f64| place.clamp(0.0, f64::from(size)) as u32;
            // One pixel of an image that a mesh lies beside.
            let low = within(low).min(size - 1);
            (low, within(high).max(low + 1))
        };
        let ((left, right), (top, bottom)) = (span(0, pixels.width), span(1, pixels.height));
        let stride = 4 * pixels.width as usize;
        let rows = pixels.rgba.chunks_exact(stride);
        let rows = rows.skip(top as usize).take((bottom - top) as usize);
        let part = 4 * left as usize..4 * right as usize;
        Ok(Packed {
            name: plain(sprite.name),
            size: [pixels.width, pixels.height],
            left,
            top,
            pixels: Pixels {
                width: right - left,
                height: bottom - top,
                rgba: rows.flat_map(|row| &row[part.clone()]).copied().collect(),
            },
        })
    }
}

/// Packs images into as few pages as are needed; `name` is what the files of the pages begin with.
///
/// # Errors
/// [`ExportError::PageTooSmall`].
pub fn pack(
    name: &str,
    images: &[Packed],
    layout: &Layout,
    version: Version,
) -> Result<Atlas, ExportError> {
    let limit = layout.longest_side();
    for image in images {
        let (width, height) = (image.pixels.width, image.pixels.height);
        if width > limit || height > limit {
            return Err(ExportError::PageTooSmall {
                name: image.name.clone(),
                width,
                height,
                limit,
            });
        }
    }
    let mut atlas = Atlas {
        text: String::new(),
        pages: Vec::new(),
    };
    let mut files = Taken::default();
    let mut left: Vec<usize> = (0..images.len()).collect();
    while !left.is_empty() {
        let sheet = Sheet::fill(images, &left, layout);
        let placed: HashSet<usize> = sheet.places.iter().map(|(index, _)| *index).collect();
        left.retain(|index| !placed.contains(index));
        let file = files.take(plain(name)) + ".png";
        // Writing to a string cannot fail.
        let _ = sheet.describe(&mut atlas.text, &file, images, version);
        let png = sheet.paint(images).to_png();
        atlas.pages.push(Page { file, png });
    }
    Ok(atlas)
}
