//! A texture atlas for a Spine skeleton: pages as PNG, and the text that says what is where.
//!
//! Of each image what lies below its mesh is kept, with a pixel around it, since no more is drawn.

use super::name::{Taken, plain};
use super::picture::pixels_of;
use super::spine::Version;
use super::{ExportError, Sprite};
use crate::image::Pixels;
use crate::limits::Limits;
use crunch::{Item, Rect, Rotation};
use std::collections::HashSet;
use std::fmt::{self, Write as _};

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

/// A page on which the places are known.
struct Sheet {
    width: u32,
    height: u32,
    /// Which image is where, in the order of the images.
    places: Vec<(usize, Rect)>,
}

impl Sheet {
    /// Places images on the smallest page that takes all of them, or as many as one page takes.
    fn fill(images: &[Packed], left: &[usize], layout: &Layout) -> Sheet {
        let padding = layout.padding as usize;
        let padded = |side: u32| side as usize + padding;
        let items = || {
            left.iter().map(|&index| {
                let pixels = &images[index].pixels;
                let (width, height) = (padded(pixels.width), padded(pixels.height));
                Item::new(index, width, height, Rotation::None)
            })
        };
        // At the right and at the bottom nothing needs to be kept away.
        let into = |width: u32, height: u32| {
            let page = Rect::of_size(padded(width), padded(height));
            crunch::pack(page, items())
        };
        let area: u64 = items().map(|item| (item.w * item.h) as u64).sum();
        let fits = |&(width, height): &(u32, u32)| {
            (padded(width) as u64) * (padded(height) as u64) >= area
        };
        let packed = sizes(layout.longest_side())
            .filter(fits)
            .find_map(|(width, height)| Some((width, height, into(width, height).ok()?)));
        let (width, height, packed) = packed.unwrap_or_else(|| {
            let side = layout.longest_side();
            let (Ok(some) | Err(some)) = into(side, side);
            (side, side, some)
        });
        let mut places: Vec<_> = packed.iter().map(|item| (item.data, item.rect)).collect();
        places.sort_by_key(|(index, _)| *index);
        let mut sheet = Sheet {
            width,
            height,
            places,
        };
        if !layout.powers_of_two {
            sheet.trim(images);
        }
        sheet
    }

    fn trim(&mut self, images: &[Packed]) {
        let ends = |end: fn(&Pixels, &Rect) -> u32| {
            let ends = self.places.iter();
            ends.map(|(index, place)| end(&images[*index].pixels, place))
                .max()
                .unwrap_or(1)
        };
        let width = ends(|pixels, place| place.x as u32 + pixels.width);
        let height = ends(|pixels, place| place.y as u32 + pixels.height);
        (self.width, self.height) = (width, height);
    }

    fn paint(&self, images: &[Packed]) -> Pixels {
        let stride = 4 * self.width as usize;
        let mut rgba = vec![0; stride * self.height as usize];
        for (index, place) in &self.places {
            let pixels = &images[*index].pixels;
            let rows = pixels.rgba.chunks_exact(4 * pixels.width as usize);
            for (row, source) in rows.enumerate() {
                let start = (place.y + row) * stride + 4 * place.x;
                rgba[start..start + source.len()].copy_from_slice(source);
            }
        }
        Pixels {
            width: self.width,
            height: self.height,
            rgba,
        }
    }

    /// In the words of each version; offsets are from the left and from the bottom.
    fn describe(
        &self,
        text: &mut String,
        file: &str,
        images: &[Packed],
        version: Version,
    ) -> fmt::Result {
        if !text.is_empty() || version == Version::V3_8 {
            writeln!(text)?;
        }
        match version {
            Version::V4_2 => writeln!(
                text,
                "{file}\nsize: {}, {}\nfilter: Linear, Linear",
                self.width, self.height
            )?,
            Version::V3_8 => writeln!(
                text,
                "{file}\nsize: {},{}\nformat: RGBA8888\nfilter: Linear,Linear\nrepeat: none",
                self.width, self.height
            )?,
        }
        for (index, place) in &self.places {
            let image = &images[*index];
            let (width, height) = (image.pixels.width, image.pixels.height);
            let [whole_width, whole_height] = image.size;
            let below = whole_height - image.top - height;
            let (name, left, Rect { x, y, .. }) = (&image.name, image.left, place);
            match version {
                Version::V4_2 => writeln!(
                    text,
                    "{name}\nbounds: {x}, {y}, {width}, {height}\n\
                     offsets: {left}, {below}, {whole_width}, {whole_height}"
                )?,
                Version::V3_8 => writeln!(
                    text,
                    "{name}\n  rotate: false\n  xy: {x}, {y}\n  size: {width}, {height}\n  \
                     orig: {whole_width}, {whole_height}\n  offset: {left}, {below}\n  index: -1"
                )?,
            }
        }
        Ok(())
    }
}

/// Powers of two up to the largest, and the largest, from small to large; none is more than twice
/// as wide as high, or as high as wide.
fn sizes(largest: u32) -> impl Iterator<Item = (u32, u32)> {
    let powers = (0..32).map(|power| 1_u32 << power);
    let powers = powers.take_while(move |&side| side < largest);
    let sides = powers.chain(std::iter::once(largest));
    sides.flat_map(move |side| {
        let double = side.saturating_mul(2).min(largest);
        let oblong = (double > side).then_some([(double, side), (side, double)]);
        std::iter::once((side, side)).chain(oblong.into_iter().flatten())
    })
}
