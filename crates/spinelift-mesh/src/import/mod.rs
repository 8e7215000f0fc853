//! Meshes out of files: results of this library, the like of others, and Spine skeletons.

mod lists;
mod result;
mod spine;

use crate::limits::Limits;
use crate::shape::ShapeError;
pub use result::ResultMesh;
use serde_json::Value;
pub use spine::SpineMesh;

/// What a file holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Document {
    /// One mesh in pixels, with the size of its image, if the file says it.
    Mesh(ResultMesh),
    /// The mesh attachments of a Spine skeleton, linked ones too. Those of a skin are in the order of
    /// the names of their slots.
    Spine(Vec<SpineMesh>),
}

/// Why a file could not be read.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ReadError {
    /// It is no JSON.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// It is JSON of another kind.
    #[error("neither a mesh (with vertices and triangles) nor a Spine skeleton (with skins)")]
    UnknownKind,
    /// A list is missing or has something else in it.
    #[error("{field} is not {expected}")]
    Field {
        /// Where it is.
        field: String,
        /// What should be there.
        expected: &'static str,
    },
    /// There are more vertices than the [`Limits`] allow.
    #[error("{field} has {count} vertices; at most {limit} are allowed")]
    TooManyVertices {
        /// Where they are.
        field: String,
        /// Number of vertices.
        count: usize,
        /// [`Limits::max_mesh_vertices`].
        limit: usize,
    },
    /// There are more triangles than a mesh of so many vertices has, unless they overlap.
    #[error("{field} has {count} triangles; at most {limit} are allowed")]
    TooManyTriangles {
        /// Where they are.
        field: String,
        /// Number of triangles.
        count: usize,
        /// Twice [`Limits::max_mesh_vertices`].
        limit: usize,
    },
    /// A linked mesh shows one that is not there.
    #[error(
        "the mesh {name:?} in skin {skin:?} is linked to {parent:?} in skin {of:?}, which is no mesh there"
    )]
    NoParent {
        /// What it is called.
        name: String,
        /// The skin that it is in.
        skin: String,
        /// The mesh that it is linked to.
        parent: String,
        /// The skin that that should be in.
        of: String,
    },
    /// The mesh makes no sense.
    #[error("the mesh makes no sense: {0}")]
    Shape(#[from] ShapeError),
}

impl Document {
    /// Reads a file.
    ///
    /// # Errors
    /// See [`ReadError`].
    pub fn read(bytes: &[u8], limits: &Limits) -> Result<Self, ReadError> {
        let json: Value =
            serde_json::from_slice(bytes).map_err(|error| ReadError::NotJson(error.to_string()))?;
        if json.get("vertices").is_some() && json.get("triangles").is_some() {
            ResultMesh::read(&json, limits).map(Document::Mesh)
        } else if json.get("skins").is_some() {
            spine::meshes(&json, limits).map(Document::Spine)
        } else {
            Err(ReadError::UnknownKind)
        }
    }
}

fn check_counts(
    field: &str,
    vertices: usize,
    triangles: usize,
    limits: &Limits,
) -> Result<(), ReadError> {
    let limit = limits.max_mesh_vertices;
    if vertices > limit {
        return Err(ReadError::TooManyVertices {
            field: field.to_owned(),
            count: vertices,
            limit,
        });
    }
    let limit = limit.saturating_mul(2);
    if triangles > limit {
        return Err(ReadError::TooManyTriangles {
            field: field.to_owned(),
            count: triangles,
            limit,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(json: &Value) -> Result<Document, ReadError> {
        Document::read(json.to_string().as_bytes(), &Limits::DEFAULT)
    }

    #[test]
    fn flat_lists_and_lists_of_lists_are_read_alike() {
        let flat = json!({ "vertices": [0, 0, 4, 0, 0, 4], "triangles": [0, 1, 2] });
        let nested = json!({ "vertices": [[0, 0], [4, 0], [0, 4]], "triangles": [[0, 1, 2]] });
        let read = read(&flat).inspect(|found| assert_eq!(Ok(found), read(&nested).as_ref()));
        let Ok(Document::Mesh(mesh)) = read else {
            panic!("a mesh");
        };
        let shape = mesh.shape([4, 4]).expect("a shape");
        assert_eq!((shape.width(), shape.triangles()), (4, &[[0, 1, 2]][..]));
    }

    #[test]
    fn islands_are_read_along() {
        let corners = [[0, 0], [4, 0], [0, 4]];
        let island = json!({ "vertices": corners, "triangles": [[0, 1, 2]] });
        let mut whole = island.clone();
        whole["islands"] = json!([island]);
        whole["metadata"] = json!({ "width": 9, "height": 8 });
        let Ok(Document::Mesh(mesh)) = read(&whole) else {
            panic!("a mesh");
        };
        let shape = mesh.shape([4, 4]).expect("a shape");
        assert_eq!((shape.width(), shape.height()), (9, 8));
        assert_eq!(shape.triangles(), [[0, 1, 2], [3, 4, 5]]);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let message = |json: &Value| read(json).expect_err("not readable").to_string();
        assert!(message(&json!([])).starts_with("neither a mesh"));
        let cases = [
            (
                json!({ "vertices": 1, "triangles": [] }),
                "vertices is not pairs of numbers",
            ),
            (
                json!({ "vertices": [0], "triangles": [] }),
                "vertices is not pairs of numbers",
            ),
            (
                json!({ "vertices": [[0, 0, 0]], "triangles": [] }),
                "vertices is not pairs of numbers",
            ),
            (
                json!({ "vertices": [], "triangles": [0, -1, 2] }),
                "triangles is not triples of vertices",
            ),
            (
                json!({ "vertices": [], "triangles": [0.5, 1, 2] }),
                "triangles is not triples of vertices",
            ),
        ];
        for (json, expected) in cases {
            assert_eq!(message(&json), expected);
        }
        let error = Document::read(b"{", &Limits::DEFAULT).expect_err("cut off");
        assert!(error.to_string().starts_with("not JSON: "), "{error}");
    }

    #[test]
    fn what_is_too_large_is_refused() {
        let message = |max_mesh_vertices, triangles| {
            let limits = Limits {
                max_mesh_vertices,
                ..Limits::DEFAULT
            };
            let corners = [0, 1, 2].repeat(triangles);
            let json = json!({ "vertices": [0, 0, 4, 0, 0, 4], "triangles": corners });
            let read = Document::read(json.to_string().as_bytes(), &limits);
            read.map_err(|error| error.to_string())
        };
        assert!(message(3, 6).is_ok());
        assert_eq!(
            message(2, 1),
            Err("the mesh has 3 vertices; at most 2 are allowed".to_owned())
        );
        assert_eq!(
            message(3, 7),
            Err("the mesh has 7 triangles; at most 6 are allowed".to_owned())
        );
    }

    #[test]
    fn what_no_mesh_has_does_no_harm() {
        let deep = "[".repeat(100_000);
        for text in [
            &*deep,
            r#"{"vertices":[[1e999,0]],"triangles":[]}"#,
            r#"{"vertices":[[NaN,0]],"triangles":[]}"#,
            "\u{feff}{}",
        ] {
            let error = Document::read(text.as_bytes(), &Limits::DEFAULT);
            assert!(matches!(error, Err(ReadError::NotJson(_))), "{error:?}");
        }
        // A product that is no number any more.
        let skins = json!({ "skins": { "default": { "a": { "a": {
            "type": "mesh", "uvs": [1e308, 0, 1, 0, 0, 1], "triangles": [0, 1, 2],
        }}}}});
        let Ok(Document::Spine(meshes)) = read(&skins) else {
            panic!("a skeleton");
        };
        let shape = meshes[0].shape([4096, 1]);
        assert!(matches!(
            shape,
            Err(ShapeError::Coordinate { vertex: 0, .. })
        ));
    }
}
