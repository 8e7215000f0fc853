//! The picture of a mesh that came over HTTP.

use serde::Deserialize;
use spinelift_mesh::export::svg;
use spinelift_mesh::quality::Quality;
use spinelift_mesh::{ALGORITHM_VERSION, Mesh, MeshParameters, Metadata};

/// What the demo reads of a result.
#[derive(Deserialize)]
pub(super) struct Received {
    vertices: Vec<[f64; 2]>,
    triangles: Vec<[u32; 3]>,
    uvs: Vec<f64>,
    boundary_edges: Vec<u32>,
    internal_edges: Vec<u32>,
    boundary_indices: Vec<u32>,
    metadata: ReceivedMetadata,
}

#[derive(Deserialize)]
struct ReceivedMetadata {
    width: u32,
    height: u32,
    parameters: MeshParameters,
}

impl Received {
    pub(super) fn vertex_count(&self) -> usize {
        self.vertices.len()
    }

    pub(super) fn triangle_count(&self) -> usize {
        self.triangles.len()
    }

    pub(super) fn draw(self, image: &[u8]) -> String {
        let mesh = Mesh {
            metadata: Metadata {
                width: self.metadata.width,
                height: self.metadata.height,
                vertex_count: self.vertices.len(),
                triangle_count: self.triangles.len(),
                parameters: self.metadata.parameters,
                algorithm_version: ALGORITHM_VERSION,
                // They are not drawn.
                warnings: Vec::new(),
                quality: Quality::default(),
            },
            vertices: self.vertices,
            triangles: self.triangles,
            uvs: self.uvs,
            boundary_edges: self.boundary_edges,
            internal_edges: self.internal_edges,
            boundary_indices: self.boundary_indices,
            islands: Vec::new(),
        };
        svg::preview(image, &mesh)
    }
}
