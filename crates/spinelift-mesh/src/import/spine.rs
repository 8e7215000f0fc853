//! The mesh attachments of a Spine skeleton, of any version that writes JSON.

use super::{ReadError, check_count, groups, index};
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
    uvs: Vec<[f64; 2]>,
    triangles: Vec<[u32; 3]>,
}

impl SpineMesh {
    /// The mesh over its image, whose size is given.
    ///
    /// # Errors
    /// See [`ShapeError`].
    pub fn shape(&self, [width, height]: [u32; 2]) -> Result<Shape, ShapeError> {
        let vertices = self.uvs.iter();
        let vertices = vertices.map(|[u, v]| [u * f64::from(width), v * f64::from(height)]);
        Shape::new([width, height], vertices.collect(), self.triangles.clone())
    }
}

/// All meshes with vertices of their own: linked ones show what another has.
pub(super) fn meshes(json: &Value, limits: &Limits) -> Result<Vec<SpineMesh>, ReadError> {
    let mut found = Vec::new();
    for (skin, slots) in skins(json)? {
        for (slot, attachments) in slots {
            let attachments = attachments.as_object().ok_or_else(|| ReadError::Field {
                field: format!("slot {slot:?} of skin {skin:?}"),
                expected: "an object of attachments",
            })?;
            for (key, attachment) in attachments {
                let kind = attachment.get("type").and_then(Value::as_str);
                // Up to 3.2 one with weights had a name of its own.
                if matches!(kind, Some("mesh" | "skinnedmesh" | "weightedmesh")) {
                    found.push(mesh(&skin, slot, key, attachment, limits)?);
                }
            }
        }
    }
    Ok(found)
}

fn mesh(
    skin: &str,
    slot: &str,
    key: &str,
    json: &Value,
    limits: &Limits,
) -> Result<SpineMesh, ReadError> {
    let text = |name: &str| json.get(name).and_then(Value::as_str);
    let name = text("name").unwrap_or(key);
    let field = |part: &str| format!("{part} of the mesh {name:?} in skin {skin:?}");
    let uvs = groups(
        json.get("uvs"),
        &field("uvs"),
        "pairs of numbers",
        Value::as_f64,
    )?;
    check_count(&format!("mesh {name:?}"), uvs.len(), limits)?;
    let triangles = json.get("triangles");
    Ok(SpineMesh {
        skin: skin.to_owned(),
        slot: slot.to_owned(),
        name: name.to_owned(),
        path: text("path").unwrap_or(name).to_owned(),
        uvs,
        triangles: groups(triangles, &field("triangles"), "triples of vertices", index)?,
    })
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
            "sleeve": { "type": "linkedmesh", "parent": "arm" },
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
            let [mesh] = &found[..] else {
                panic!("one mesh: {found:?}");
            };
            assert_eq!((&*mesh.slot, &*mesh.name), ("arm", "arm"));
            assert_eq!((&*mesh.skin, &*mesh.path), ("default", "limbs/arm"));
            let shape = mesh.shape([8, 4]).expect("a shape");
            assert_eq!(shape.vertices(), [[0.0, 0.0], [8.0, 0.0], [0.0, 2.0]]);
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
