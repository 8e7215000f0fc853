//! Results of this library, and the like of others.

use super::lists::{groups, index};
use super::{ReadError, check_counts};
use crate::limits::Limits;
use crate::shape::{Shape, ShapeError};
use serde_json::Value;

/// A mesh as the result JSON has it: vertices in pixels.
#[derive(Debug, Clone, PartialEq)]
pub struct ResultMesh {
    /// Width and height of the image, where the file says them.
    pub size: Option<[u32; 2]>,
    vertices: Vec<[f64; 2]>,
    triangles: Vec<[u32; 3]>,
}

impl ResultMesh {
    pub(super) fn read(json: &Value, limits: &Limits) -> Result<Self, ReadError> {
        let side = |name: &str| {
            let side = json.get("metadata").and_then(|metadata| metadata.get(name));
            side.and_then(Value::as_u64)
                .and_then(|side| u32::try_from(side).ok())
        };
        let mut mesh = ResultMesh {
            size: side("width").zip(side("height")).map(<[u32; 2]>::from),
            vertices: Vec::new(),
            triangles: Vec::new(),
        };
        mesh.append(json)?;
        let islands = json.get("islands").and_then(Value::as_array);
        for island in islands.into_iter().flatten() {
            mesh.append(island)?;
        }
        check_counts(
            "the mesh",
            mesh.vertices.len(),
            mesh.triangles.len(),
            limits,
        )?;
        Ok(mesh)
    }

    fn append(&mut self, json: &Value) -> Result<(), ReadError> {
        let vertices = groups(
            json.get("vertices"),
            "vertices",
            "pairs of numbers",
            Value::as_f64,
        )?;
        let triangles = groups(
            json.get("triangles"),
            "triangles",
            "triples of vertices",
            index,
        )?;
        let first = self.vertices.len() as u32;
        self.vertices.extend(vertices);
        let moved = triangles
            .iter()
            .map(|corners| corners.map(|vertex: u32| first.saturating_add(vertex)));
        self.triangles.extend(moved);
        Ok(())
    }

    /// The mesh over an image of its size, or of the given one if the file says none.
    ///
    /// # Errors
    /// See [`ShapeError`].
    pub fn shape(&self, size: [u32; 2]) -> Result<Shape, ShapeError> {
        let size = self.size.unwrap_or(size);
        Shape::new(size, self.vertices.clone(), self.triangles.clone())
    }
}
