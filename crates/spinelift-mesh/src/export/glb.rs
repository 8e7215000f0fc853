//! glTF 2.0, binary: one mesh in the plane z = 0, centred, y up, with the image in it. A hundred
//! pixels are a unit, which is a metre.

use super::picture::pixels_of;
use super::{ExportError, Sprite};
use crate::image::ImageFormat;
use crate::limits::Limits;
use serde_json::{Value, json};

const PIXELS_PER_UNIT: f64 = 100.0;

// Constants of the format.
const FLOAT: u32 = 5126;
const UNSIGNED_INT: u32 = 5125;
const ARRAY_BUFFER: u32 = 34962;
const ELEMENT_ARRAY_BUFFER: u32 = 34963;
const CLAMP_TO_EDGE: u32 = 33071;

pub(super) fn binary(
    sprite: &Sprite<'_>,
    image: &[u8],
    limits: &Limits,
) -> Result<Vec<u8>, ExportError> {
    let pixels = pixels_of(image, sprite.shape, limits)?;
    let (media_type, image) = match ImageFormat::detect(image)? {
        // Not every reader knows the extension that allows for it.
        ImageFormat::WebP => (ImageFormat::Png, pixels.to_png()),
        format => (format, image.to_vec()),
    };
    let mut buffer = Buffer::default();
    let description = describe(sprite, media_type.media_type(), &image, &mut buffer);
    Ok(container(&description, buffer.bytes))
}

fn describe(sprite: &Sprite<'_>, media_type: &str, image: &[u8], buffer: &mut Buffer) -> Value {
    let shape = sprite.shape;
    let (width, height) = (f64::from(shape.width()), f64::from(shape.height()));
    let place = |&[x, y]: &[f64; 2]| {
        [x - width / 2.0, height / 2.0 - y].map(|part| (part / PIXELS_PER_UNIT) as f32)
    };
    let places: Vec<[f32; 2]> = shape.vertices().iter().map(place).collect();
    let bound = |pick: fn(f32, f32) -> f32| {
        let [x, y] = places
            .iter()
            .copied()
            .reduce(|a, b| [pick(a[0], b[0]), pick(a[1], b[1])])
            .unwrap_or_default();
        json!([x, y, 0.0])
    };
    let (low, high) = (bound(f32::min), bound(f32::max));
    let positions = places.iter().flat_map(|&[x, y]| [x, y, 0.0]);
    let positions = buffer.view(positions.flat_map(f32::to_le_bytes), Some(ARRAY_BUFFER));
    let uvs = shape.uvs().into_iter().map(|part| part as f32);
    let uvs = buffer.view(uvs.flat_map(f32::to_le_bytes), Some(ARRAY_BUFFER));
    // Counter-clockwise, so that they look towards positive z.
    let indices = shape.triangles().iter().flat_map(|&[a, b, c]| [a, c, b]);
    let indices = buffer.view(
        indices.flat_map(u32::to_le_bytes),
        Some(ELEMENT_ARRAY_BUFFER),
    );
    let texture = buffer.view(image.iter().copied(), None);
    let count = shape.vertices().len();
    json!({
        "asset": { "version": "2.0", "generator": "spinelift-mesh" },
        "extensionsUsed": ["KHR_materials_unlit"],
        "scene": 0,
        "scenes": [{ "nodes": [0] }],
        "nodes": [{ "name": sprite.name, "mesh": 0 }],
        "meshes": [{
            "name": sprite.name,
            "primitives": [{
                "attributes": { "POSITION": 0, "TEXCOORD_0": 1 },
                "indices": 2,
                "material": 0,
            }],
        }],
        "materials": [{
            "name": sprite.name,
            "pbrMetallicRoughness": {
                "baseColorTexture": { "index": 0 },
                "metallicFactor": 0.0,
            },
            "alphaMode": "BLEND",
            "doubleSided": true,
            "extensions": { "KHR_materials_unlit": {} },
        }],
        "textures": [{ "sampler": 0, "source": 0 }],
        "samplers": [{ "wrapS": CLAMP_TO_EDGE, "wrapT": CLAMP_TO_EDGE }],
        "images": [{ "name": sprite.name, "mimeType": media_type, "bufferView": texture }],
        "accessors": [
            {
                "bufferView": positions, "componentType": FLOAT, "count": count, "type": "VEC3",
                "min": low, "max": high,
            },
            { "bufferView": uvs, "componentType": FLOAT, "count": count, "type": "VEC2" },
            {
                "bufferView": indices, "componentType": UNSIGNED_INT,
                "count": 3 * shape.triangles().len(), "type": "SCALAR",
            },
        ],
        "bufferViews": buffer.views,
        "buffers": [{ "byteLength": buffer.bytes.len() }],
    })
}

/// Header, JSON, buffer; each padded to four bytes.
fn container(description: &Value, mut buffer: Vec<u8>) -> Vec<u8> {
    let mut json = description.to_string().into_bytes();
    json.resize(json.len().next_multiple_of(4), b' ');
    buffer.resize(buffer.len().next_multiple_of(4), 0);
    let length = 12 + 8 + json.len() + 8 + buffer.len();
    let mut bytes = Vec::with_capacity(length);
    bytes.extend(b"glTF");
    bytes.extend(2_u32.to_le_bytes());
    bytes.extend((length as u32).to_le_bytes());
    for (kind, chunk) in [(b"JSON", json), (b"BIN\0", buffer)] {
        bytes.extend((chunk.len() as u32).to_le_bytes());
        bytes.extend(kind);
        bytes.extend(chunk);
    }
    bytes
}

#[derive(Default)]
struct Buffer {
    bytes: Vec<u8>,
    views: Vec<Value>,
}

impl Buffer {
    /// Appends bytes and returns the index of their view.
    fn view(&mut self, bytes: impl Iterator<Item = u8>, target: Option<u32>) -> usize {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
        let offset = self.bytes.len();
        self.bytes.extend(bytes);
        let mut view = json!({
            "buffer": 0,
            "byteOffset": offset,
            "byteLength": self.bytes.len() - offset,
        });
        if let Some(target) = target {
            view["target"] = json!(target);
        }
        self.views.push(view);
        self.views.len() - 1
    }
}
