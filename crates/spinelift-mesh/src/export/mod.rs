//! A mesh in the formats of other programs.
//!
//! All of them are made of a [`Shape`], so that a mesh of any origin can be written. The same
//! input gives the same bytes on every machine.

pub mod atlas;
mod glb;
mod godot;
mod look;
mod name;
mod obj;
mod picture;
mod piece;
pub mod spine;
pub mod svg;

use crate::error::ImageLoadError;
use crate::limits::Limits;
use crate::shape::Shape;
pub use name::unique_names;

/// What is written of one image.
#[derive(Debug, Clone, Copy)]
pub struct Sprite<'a> {
    /// What slots, nodes and objects are called. Characters that a format cannot have in a name
    /// are replaced.
    pub name: &'a str,
    /// The file that holds the image, as far as a format refers to it.
    pub texture: &'a str,
    /// Its mesh.
    pub shape: &'a Shape,
}

/// A format, beside the result JSON of [`Mesh::to_json`](crate::Mesh::to_json).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// A skeleton for Spine, as JSON.
    Spine(spine::Version),
    /// A drawing of the mesh over the image.
    Svg,
    /// The same as pixels.
    Png,
    /// Wavefront OBJ.
    Obj,
    /// glTF 2.0, binary, with the image in it.
    Gltf,
    /// A scene for Godot 4 with a `Polygon2D`.
    Godot,
}

/// What is to be known of a [`Format`].
struct Facts {
    name: &'static str,
    extension: &'static str,
    media_type: &'static str,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 7] = [
        Format::Spine(spine::Version::V4_2),
        Format::Spine(spine::Version::V3_8),
        Format::Svg,
        Format::Png,
        Format::Obj,
        Format::Gltf,
        Format::Godot,
    ];

    const fn facts(self) -> Facts {
        let (name, extension, media_type) = match self {
            Format::Spine(spine::Version::V4_2) => ("spine", "spine.json", "application/json"),
            Format::Spine(spine::Version::V3_8) => {
                ("spine-3.8", "spine-3.8.json", "application/json")
            }
            Format::Svg => ("svg", "svg", "image/svg+xml"),
            Format::Png => ("png", "mesh.png", "image/png"),
            Format::Obj => ("obj", "obj", "model/obj"),
            Format::Gltf => ("gltf", "glb", "model/gltf-binary"),
            Format::Godot => ("godot", "tscn", "text/plain; charset=utf-8"),
        };
        Facts {
            name,
            extension,
            media_type,
        }
    }

    /// What it is chosen by.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// The format of a name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|format| format.name() == name)
    }

    /// What its files end in, without a dot in front.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        self.facts().extension
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        self.facts().media_type
    }

    /// Whether it cannot be written without the image. An SVG without it shows the mesh alone.
    #[must_use]
    pub const fn needs_image(self) -> bool {
        matches!(self, Format::Png | Format::Gltf)
    }
}

/// Why a format could not be written.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The format counts vertices in 16 bits.
    #[error("Spine takes at most {limit} vertices of a mesh, and this one has {count}")]
    TooManyVertices {
        /// Number of vertices.
        count: usize,
        /// The most that the format takes.
        limit: usize,
    },
    /// The image is wanted and was not given.
    #[error("the format {} needs the image", format.name())]
    NoImage {
        /// The format.
        format: Format,
    },
    /// The image cannot be loaded.
    #[error("the image cannot be loaded: {0}")]
    Image(#[from] ImageLoadError),
    /// The image is not the one that the mesh was made of.
    #[error(
        "the mesh is of an image of {} x {} pixels, and this one has {} x {}",
        .mesh[0], .mesh[1], .image[0], .image[1]
    )]
    OtherImage {
        /// Width and height that the mesh was made for.
        mesh: [u32; 2],
        /// Width and height of the image.
        image: [u32; 2],
    },
    /// An image does not fit onto a page of an atlas.
    #[error("{name} takes {width} x {height} pixels of a page that has {limit} x {limit}")]
    PageTooSmall {
        /// What it is called.
        name: String,
        /// Of the part that its mesh shows, in pixels.
        width: u32,
        /// Of the part that its mesh shows, in pixels.
        height: u32,
        /// The largest width and height of a page.
        limit: u32,
    },
}

/// Writes a sprite; `image` are the bytes of the file that its mesh was made of.
///
/// # Errors
/// See [`ExportError`].
pub fn write(
    format: Format,
    sprite: &Sprite<'_>,
    image: Option<&[u8]>,
    limits: &Limits,
) -> Result<Vec<u8>, ExportError> {
    let needed = || image.ok_or(ExportError::NoImage { format });
    match format {
        Format::Spine(version) => spine::skeleton(&[*sprite], version, "./"),
        Format::Svg => Ok(svg::preview(image, sprite.shape).into_bytes()),
        Format::Png => picture::draw(needed()?, sprite.shape, limits),
        Format::Obj => Ok(obj::object(sprite).into_bytes()),
        Format::Gltf => glb::binary(sprite, needed()?, limits),
        Format::Godot => Ok(godot::scene(sprite).into_bytes()),
    }
}

/// The material that an [OBJ](Format::Obj) asks for: a file beside it, see [`material_file`].
#[must_use]
pub fn material(sprite: &Sprite<'_>) -> Vec<u8> {
    obj::material(sprite).into_bytes()
}

/// What the file of [`material`] must be called, by [`Sprite::texture`]: no two textures share it.
#[must_use]
pub fn material_file(texture: &str) -> String {
    obj::material_file(texture)
}

/// A number with so many decimals at the most, the same on every machine.
fn rounded(value: f64, decimals: i32) -> f64 {
    let scale = 10_f64.powi(decimals);
    // Negative zero is written with its sign.
    (value * scale).round() / scale + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_name_one_format_each() {
        for format in Format::ALL {
            assert_eq!(Format::named(format.name()), Some(format));
        }
        assert_eq!(Format::named("json"), None);
    }

    #[test]
    fn numbers_are_rounded_without_signs_of_zero() {
        assert_eq!(rounded(0.123_456_78, 7), 0.123_456_8);
        assert!(rounded(-0.000_000_01, 7).is_sign_positive());
    }
}
