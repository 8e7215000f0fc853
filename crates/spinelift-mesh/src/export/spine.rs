//! Spine: a skeleton as JSON, with a mesh attachment for each piece of each sprite.
//!
//! The format is that of the Spine documentation, "JSON export format". Meshes of 3.8 and 4.2 are
//! written alike; what differs in the rest (curves, constraints) does not occur in a setup pose.

use super::name::{Taken, plain};
use super::piece::Piece;
use super::{ExportError, Sprite, rounded};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

/// The runtimes count vertices in 16 bits.
const MAX_VERTICES: usize = 1 << 16;

/// Five decimals lose up to 0.01 pixels of a texture of 2048.
const UV_DECIMALS: i32 = 7;

/// How far rounding may put a texture coordinate that is written, and a little for the arithmetic.
pub(crate) const UV_ROUNDING: f64 = 0.500_1e-7;

/// Of coordinates in pixels; beyond what a runtime's 32 bits hold.
const DECIMALS: i32 = 5;

/// A version of Spine. Its runtimes read files of their own version alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Version {
    /// 4.2.
    #[default]
    V4_2,
    /// 3.8.
    V3_8,
}

impl Version {
    /// As a file of it says.
    const fn written(self) -> &'static str {
        match self {
            Version::V4_2 => "4.2.43",
            Version::V3_8 => "3.8.99",
        }
    }
}

/// Writes a skeleton of sprites: for each a bone at its centre and a slot, drawn in their order.
/// All centres are at the origin. `images` is where Spine looks for the images.
///
/// An island that does not hang together with the first gets a slot of its own.
///
/// # Errors
/// [`ExportError::TooManyVertices`].
pub fn skeleton(
    sprites: &[Sprite<'_>],
    version: Version,
    images: &str,
) -> Result<Vec<u8>, ExportError> {
    let (mut bones, mut slots) = (Taken::default(), Taken::default());
    let root = Bone {
        name: bones.take("root".to_owned()),
        parent: None,
    };
    let mut skeleton = Skeleton {
        skeleton: Header::of(sprites, version, images),
        bones: vec![root],
        slots: Vec::new(),
        skins: [Skin {
            name: "default",
            attachments: Entries(Vec::new()),
        }],
        animations: Entries(Vec::new()),
    };
    for sprite in sprites {
        let name = plain(sprite.name);
        // Before the last slash of a slot's name, 4.2 expects folders that are no part of it.
        let flat = name.replace('/', "_");
        let bone = bones.take(flat.clone());
        for piece in Piece::of(sprite.shape) {
            let slot = slots.take(flat.clone());
            let attachment = Attachment::new(sprite, &piece)?;
            let attachments = Entries(vec![(name.clone(), attachment)]);
            skeleton.skins[0]
                .attachments
                .0
                .push((slot.clone(), attachments));
            skeleton.slots.push(Slot {
                name: slot,
                bone: bone.clone(),
                attachment: name.clone(),
            });
        }
        skeleton.bones.push(Bone {
            name: bone,
            parent: Some("root"),
        });
    }
    Ok(serde_json::to_vec(&skeleton)
        .unwrap_or_else(|_| unreachable!("plain numbers and strings always serialize")))
}

#[derive(Serialize)]
struct Skeleton<'a> {
    skeleton: Header<'a>,
    bones: Vec<Bone>,
    slots: Vec<Slot>,
    skins: [Skin; 1],
    animations: Entries<()>,
}

#[derive(Serialize)]
struct Header<'a> {
    spine: &'static str,
    x: f64,
    y: f64,
    width: f64,
    height: f64,
    images: &'a str,
    audio: &'static str,
}

impl<'a> Header<'a> {
    fn of(sprites: &[Sprite<'_>], version: Version, images: &'a str) -> Self {
        let largest = |size: fn(&Sprite<'_>) -> u32| {
            f64::from(sprites.iter().map(size).max().unwrap_or_default())
        };
        let width = largest(|sprite| sprite.shape.width());
        let height = largest(|sprite| sprite.shape.height());
        Header {
            spine: version.written(),
            x: rounded(-width / 2.0, DECIMALS),
            y: rounded(-height / 2.0, DECIMALS),
            width,
            height,
            images,
            audio: "",
        }
    }
}

#[derive(Serialize)]
struct Bone {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent: Option<&'static str>,
}

#[derive(Serialize)]
struct Slot {
    name: String,
    bone: String,
    attachment: String,
}

#[derive(Serialize)]
struct Skin {
    name: &'static str,
    attachments: Entries<Entries<Attachment>>,
}

#[derive(Serialize)]
struct Attachment {
    r#type: &'static str,
    uvs: Vec<f64>,
    triangles: Vec<u32>,
    vertices: Vec<f64>,
    hull: usize,
    edges: Vec<u32>,
    width: u32,
    height: u32,
}

impl Attachment {
    fn new(sprite: &Sprite<'_>, piece: &Piece) -> Result<Self, ExportError> {
        let shape = sprite.shape;
        let count = piece.sources.len();
        if count > MAX_VERTICES {
            return Err(ExportError::TooManyVertices {
                count,
                limit: MAX_VERTICES,
            });
        }
        let (width, height) = (f64::from(shape.width()), f64::from(shape.height()));
        let uv = |[x, y]: [f64; 2]| [x / width, y / height].map(|part| rounded(part, UV_DECIMALS));
        // The bone is at the centre, y up. Triangles stay clockwise.
        let place = |[x, y]: [f64; 2]| {
            [x - width / 2.0, height / 2.0 - y].map(|part| rounded(part, DECIMALS))
        };
        Ok(Attachment {
            r#type: "mesh",
            uvs: piece.vertices(shape).flat_map(uv).collect(),
            triangles: piece.triangles.concat(),
            vertices: piece.vertices(shape).flat_map(place).collect(),
            hull: piece.hull,
            // Indices into the flat list of coordinates.
            edges: piece
                .edges
                .iter()
                .flatten()
                .map(|vertex| 2 * vertex)
                .collect(),
            width: shape.width(),
            height: shape.height(),
        })
    }
}

/// An object whose keys stay in order.
struct Entries<T>(Vec<(String, T)>);

impl<T: Serialize> Serialize for Entries<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (key, value) in &self.0 {
            map.serialize_entry(key, value)?;
        }
        map.end()
    }
}
