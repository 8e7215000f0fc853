//! The picture of a mesh that came over HTTP.

use serde::Deserialize;
use spinelift_mesh::Shape;
use spinelift_mesh::export::svg;
use spinelift_mesh::shape::ShapeError;

/// What the demo reads of a result.
#[derive(Deserialize)]
pub(super) struct Received {
    vertices: Vec<[f64; 2]>,
    triangles: Vec<[u32; 3]>,
    metadata: ReceivedMetadata,
}

#[derive(Deserialize)]
struct ReceivedMetadata {
    width: u32,
    height: u32,
}

impl Received {
    pub(super) fn vertex_count(&self) -> usize {
        self.vertices.len()
    }

    pub(super) fn triangle_count(&self) -> usize {
        self.triangles.len()
    }

    pub(super) fn draw(self, image: &[u8]) -> Result<String, ShapeError> {
        let size = [self.metadata.width, self.metadata.height];
        let shape = Shape::new(size, self.vertices, self.triangles)?;
        Ok(svg::preview(Some(image), &shape))
    }
}
