//! The mesh attachments of a Spine skeleton, of any version that writes JSON.

use super::lists::{groups, index};
use super::{ReadError, check_counts};
use crate::cover::PIXEL;
use crate::export::spine::UV_ROUNDING;
use crate::limits::Limits;
use crate::shape::{Shape, ShapeError};
use serde_json::{Map, Value};

/// A mesh attachment. Where its vertices are bound to bones does not matter: its texture
/// coordinates say which part of the image it shows.
#[derive(Debug, Clone, PartialEq)]
pub struct SpineMesh {
    /// The skin that it is in.
    pub skin: String,
    /// The slot that it is for.
    pub slot: String,
    /// Its name.
    pub name: String,
    /// The image, below the folder of images and without an extension.
    pub path: String,
    /// Width and height of the image in pixels, where the file says them.
    pub size: Option<[u32; 2]>,
    uvs: Vec<[f64; 2]>,
    triangles: Vec<[u32; 3]>,
}

impl SpineMesh {
    /// The mesh over its image, whose size is given.
    ///
    /// Texture coordinates of ours have seven decimals. A
    /// coordinate that is within as much of a multiple of 1/256 pixel is taken to be there, where
    /// vertices of covers and of pixels are: otherwise an outline along pixels would be found to cut
    /// them. Of an image of 4096 pixels this moves a vertex by at most 0.0002 pixels.
    ///
    /// # Errors
    /// See [`ShapeError`].
    pub fn shape(&self, [width, height]: [u32; 2]) -> Result<Shape, ShapeError> {
        let vertices = self.uvs.iter();
        let vertices = vertices.map(|[u, v]| [pixels(*u, width), pixels(*v, height)]);
        Shape::new([width, height], vertices.collect(), self.triangles.clone())
    }
}

/// A texture coordinate in pixels, without what rounding has done to it.
fn pixels(coordinate: f64, side: u32) -> f64 {
    let side = f64::from(side);
    let (found, steps) = (coordinate * side, PIXEL as f64);
    let meant = (found * steps).round() / steps;
    match (found - meant).abs() <= UV_ROUNDING * side {
        true => meant,
        false => found,
    }
}

/// All meshes. A linked one is the mesh that it is linked to, over an image of its own.
pub(super) fn meshes(json: &Value, limits: &Limits) -> Result<Vec<SpineMesh>, ReadError> {
    let skins = skins(json)?;
    let mut found = Vec::new();
    for (skin, slots) in &skins {
        for (slot, attachments) in *slots {
            let attachments = attachments.as_object().ok_or_else(|| ReadError::Field {
                field: format!("slot {slot:?} of skin {skin:?}"),
                expected: "an object of attachments",
            })?;
            for (key, attachment) in attachments {
                let place = Place { skin, slot, key };
                if is_mesh(attachment) {
                    found.push(place.mesh(attachment, attachment, limits)?);
                } else if kind(attachment) == Some("linkedmesh") {
                    let parent = place.parent(attachment, &skins)?;
                    found.push(place.mesh(attachment, parent, limits)?);
                }
            }
        }
    }
    Ok(found)
}

fn kind(attachment: &Value) -> Option<&str> {
    text(attachment, "type")
}

/// Up to 3.2 one with weights had a name of its own.
fn is_mesh(attachment: &Value) -> bool {
    matches!(
        kind(attachment),
        Some("mesh" | "skinnedmesh" | "weightedmesh")
    )
}

fn text<'a>(attachment: &'a Value, name: &str) -> Option<&'a str> {
    attachment.get(name).and_then(Value::as_str)
}

/// Where an attachment is.
struct Place<'a> {
    skin: &'a str,
    slot: &'a str,
    key: &'a str,
}

impl Place<'_> {
    fn name<'a>(&'a self, attachment: &'a Value) -> &'a str {
        text(attachment, "name").unwrap_or(self.key)
    }

    /// The image of one attachment with the vertices of another, or of the same.
    fn mesh(
        &self,
        attachment: &Value,
        vertices: &Value,
        limits: &Limits,
    ) -> Result<SpineMesh, ReadError> {
        let name = self.name(attachment);
        let field = |part: &str| format!("{part} of the mesh {name:?} in skin {:?}", self.skin);
        let (uvs, triangles) = (vertices.get("uvs"), vertices.get("triangles"));
        let uvs = groups(uvs, &field("uvs"), "pairs of numbers", Value::as_f64)?;
        let triangles = groups(triangles, &field("triangles"), "triples of vertices", index)?;
        check_counts(
            &format!("the mesh {name:?}"),
            uvs.len(),
            triangles.len(),
            limits,
        )?;
        // They are scaled with the skeleton, so they need not be whole.
        let side = |name: &str| attachment.get(name).and_then(Value::as_f64);
        let size = side("width").zip(side("height"));
        Ok(SpineMesh {
            skin: self.skin.to_owned(),
            slot: self.slot.to_owned(),
            name: name.to_owned(),
            path: text(attachment, "path").unwrap_or(name).to_owned(),
            size: size.map(|(width, height)| [width, height].map(|side| side.round() as u32)),
            uvs,
            triangles,
        })
    }

    /// The mesh that a linked one is linked to, in the same slot.
    fn parent<'a>(
        &self,
        attachment: &Value,
        skins: &[NamedSlots<'a>],
    ) -> Result<&'a Value, ReadError> {
        let of = text(attachment, "skin").unwrap_or("default");
        let parent = text(attachment, "parent").unwrap_or_default();
        let slots = skins.iter().find(|(name, _)| name == of);
        let attachments = slots.and_then(|(_, slots)| slots.get(self.slot));
        attachments
            .and_then(|attachments| attachments.get(parent))
            .filter(|attachment| is_mesh(attachment))
            .ok_or_else(|| ReadError::NoParent {
                name: self.name(attachment).to_owned(),
                skin: self.skin.to_owned(),
                parent: parent.to_owned(),
                of: of.to_owned(),
            })
    }
}

/// A skin: its name, and the attachments of each slot.
type NamedSlots<'a> = (String, &'a Map<String, Value>);

/// A list since 3.8, an object before.
fn skins(json: &Value) -> Result<Vec<NamedSlots<'_>>, ReadError> {
    let wrong = || ReadError::Field {
        field: "skins".to_owned(),
        expected: "a list of skins with names and attachments",
    };
    match json.get("skins") {
        Some(Value::Array(skins)) => skins
            .iter()
            .map(|skin| {
                let name = skin.get("name").and_then(Value::as_str).ok_or_else(wrong)?;
                // A skin may be of bones and constraints alone.
                let none = skin.get("attachments").is_none();
                let slots = skin.get("attachments").and_then(Value::as_object);
                match (slots, none) {
                    (Some(slots), _) => Ok(Some((name.to_owned(), slots))),
                    (None, true) => Ok(None),
                    (None, false) => Err(wrong()),
                }
            })
            .filter_map(Result::transpose)
            .collect(),
        Some(Value::Object(skins)) => skins
            .iter()
            .map(|(name, slots)| Ok((name.clone(), slots.as_object().ok_or_else(wrong)?)))
            .collect(),
        _ => Err(wrong()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn attachments() -> Value {
        json!({ "arm": {
            "arm": {
                "type": "mesh", "path": "limbs/arm", "hull": 3,
                "uvs": [0, 0, 1, 0, 0, 0.5], "triangles": [0, 1, 2],
                // With weights.
                "vertices": [1, 0, 4, 2, 1, 1, 0, 4, 2, 1, 1, 0, 4, 2, 1],
            },
            "glove": { "width": 4, "height": 4 },
            "sleeve": {
                "type": "linkedmesh", "parent": "arm", "path": "limbs/sleeve",
                "width": 8, "height": 3.6,
            },
        }})
    }

    #[test]
    fn skins_are_lists_or_objects() {
        let list = json!({ "skins": [
            { "name": "default", "attachments": attachments() },
            { "name": "bones", "bones": ["root"] },
        ]});
        let object = json!({ "skins": { "default": attachments() } });
        for json in [list, object] {
            let found = meshes(&json, &Limits::DEFAULT).expect("readable");
            let [mesh, linked] = &found[..] else {
                panic!("two meshes: {found:?}");
            };
            assert_eq!((&*mesh.slot, &*mesh.name), ("arm", "arm"));
            assert_eq!((&*mesh.skin, &*mesh.path), ("default", "limbs/arm"));
            let shape = mesh.shape([8, 4]).expect("a shape");
            assert_eq!(shape.vertices(), [[0.0, 0.0], [8.0, 0.0], [0.0, 2.0]]);
            assert_eq!((&*linked.name, &*linked.path), ("sleeve", "limbs/sleeve"));
            assert_eq!((mesh.size, linked.size), (None, Some([8, 4])));
            assert_eq!(linked.shape([8, 4]), Ok(shape));
        }
    }

    #[test]
    fn a_link_leads_into_the_skin_that_it_names() {
        let other = |skin: &str, parent: &str| {
            let linked = json!({ "type": "linkedmesh", "skin": skin, "parent": parent });
            json!({ "skins": [
                { "name": "other", "attachments": { "arm": { "arm": linked } } },
                { "name": "default", "attachments": attachments() },
            ]})
        };
        let found = meshes(&other("default", "arm"), &Limits::DEFAULT).expect("readable");
        assert_eq!((&*found[0].skin, &*found[0].path), ("other", "arm"));
        assert_eq!(found[0].uvs, found[1].uvs);
        for (skin, parent) in [
            ("default", "glove"),
            ("default", "sleeve"),
            ("none", "arm"),
            ("default", ""),
        ] {
            let error = meshes(&other(skin, parent), &Limits::DEFAULT).expect_err("no such mesh");
            assert!(matches!(error, ReadError::NoParent { .. }), "{error}");
        }
    }

    #[test]
    fn a_broken_mesh_is_named() {
        let mut broken = attachments();
        broken["arm"]["arm"]["uvs"] = json!([0, 0, 1]);
        let error = meshes(&json!({ "skins": { "default": broken } }), &Limits::DEFAULT);
        assert_eq!(
            error.expect_err("half a vertex").to_string(),
            "uvs of the mesh \"arm\" in skin \"default\" is not pairs of numbers"
        );
        let error = meshes(&json!({ "skins": 1 }), &Limits::DEFAULT);
        assert!(error.is_err());
    }
}
