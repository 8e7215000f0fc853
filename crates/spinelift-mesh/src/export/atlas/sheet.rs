//! A page of an atlas.

use super::{Layout, Packed};
use crate::export::spine::Version;
use crate::image::Pixels;
use crunch::{Item, PackedItem, Rect, Rotation};
use std::cmp::Reverse;
use std::collections::HashSet;
use std::fmt::{self, Write as _};

/// How often a page is filled anew, so that smaller images take the room that larger ones leave.
const MOST_TRIES: usize = 100;

/// A page on which the places are known.
pub(super) struct Sheet {
    width: u32,
    height: u32,
    /// Which image is where, in the order of the images.
    pub(super) places: Vec<(usize, Rect)>,
}

impl Sheet {
    /// Places images on the smallest page that takes all of them, or as many as one page takes.
    pub(super) fn fill(images: &[Packed], left: &[usize], layout: &Layout) -> Sheet {
        let padding = layout.padding as usize;
        let padded = |side: u32| side as usize + padding;
        let mut items: Vec<Item<usize>> = left
            .iter()
            .map(|&index| {
                let pixels = &images[index].pixels;
                let (width, height) = (padded(pixels.width), padded(pixels.height));
                Item::new(index, width, height, Rotation::None)
            })
            .collect();
        // The order in which they are placed.
        items.sort_by_key(|item| Reverse(item.w * item.h + item.w.max(item.h)));
        // At the right and at the bottom nothing needs to be kept away.
        let page = |width: u32, height: u32| Rect::of_size(padded(width), padded(height));
        let area: u64 = items.iter().map(|item| (item.w * item.h) as u64).sum();
        let fits = |&(width, height): &(u32, u32)| {
            (padded(width) as u64) * (padded(height) as u64) >= area
        };
        let packed = sizes(layout.longest_side())
            .filter(fits)
            .find_map(|(width, height)| {
                let packed = crunch::pack(page(width, height), items.iter().cloned());
                Some((width, height, packed.ok()?))
            });
        let (width, height, packed) = packed.unwrap_or_else(|| {
            let side = layout.longest_side();
            (side, side, most(items, page(side, side)))
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

    pub(super) fn paint(&self, images: &[Packed]) -> Pixels {
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
    pub(super) fn describe(
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

/// As many as one page takes. The crate ends at the first that finds no place, so that one and all
/// that are no smaller are left out, and it begins again.
fn most(mut items: Vec<Item<usize>>, page: Rect) -> Vec<PackedItem<usize>> {
    let mut tries = 1;
    loop {
        let packed = match crunch::pack(page, items.iter().cloned()) {
            Ok(all) => return all,
            Err(some) => some,
        };
        let placed: HashSet<usize> = packed.iter().map(|item| item.data).collect();
        let mut others = items.iter().filter(|item| !placed.contains(&item.data));
        let Some((width, height)) = others.next().map(|item| (item.w, item.h)) else {
            return packed;
        };
        if tries == MOST_TRIES {
            return packed;
        }
        items.retain(|item| placed.contains(&item.data) || item.w < width || item.h < height);
        tries += 1;
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
