//! The result: vertices, triangles, UVs, edges and what is known about them.

use crate::parameters::MeshParameters;
use crate::quality::Quality;
use crate::warning::Warning;
use serde::Serialize;

/// The version of the algorithm: it changes whenever the same input gives another mesh.
pub const ALGORITHM_VERSION: &str = "1";

/// A triangulated sprite, in the shapes of the service contract.
///
/// Coordinates are pixels, origin top left, y down. The outline's vertices come first, in ring
/// order; Steiner points follow. Serializes to the result JSON.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mesh {
    /// `[x, y]` of each vertex.
    pub vertices: Vec<[f64; 2]>,
    /// Three vertex indices each; positive area where y points down (clockwise on screen).
    pub triangles: Vec<[u32; 3]>,
    /// `u0, v0, u1, v1, …`, each in 0 to 1, v down.
    pub uvs: Vec<f64>,
    /// `a0, b0, a1, b1, …`: edges used by one triangle, the smaller index first, sorted.
    pub boundary_edges: Vec<u32>,
    /// The same for edges used by two triangles.
    pub internal_edges: Vec<u32>,
    /// The vertices on the boundary, in ring order (ring after ring, if there are several).
    pub boundary_indices: Vec<u32>,
    /// Sizes, parameters and warnings.
    pub metadata: Metadata,
    /// The meshes of the other islands, the largest first, where each has its own
    /// ([`IslandMode::Separate`](crate::parameters::IslandMode)); not serialized if there are none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub islands: Vec<Mesh>,
}

/// What is known about a [`Mesh`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metadata {
    /// Image width in pixels.
    pub width: u32,
    /// Image height in pixels.
    pub height: u32,
    /// Number of vertices.
    pub vertex_count: usize,
    /// Number of triangles.
    pub triangle_count: usize,
    /// The parameters used, after normalization.
    pub parameters: MeshParameters,
    /// [`ALGORITHM_VERSION`] of the library that made the mesh.
    pub algorithm_version: &'static str,
    /// What was repaired, replaced or ignored.
    pub warnings: Vec<Warning>,
    /// How good the mesh is. With a mesh for each island, what is visible elsewhere is lost to
    /// this one: [`Mesh::islands`] have measures of their own.
    pub quality: Quality,
}

impl Mesh {
    /// This mesh, and those of the other islands.
    pub fn parts(&self) -> impl Iterator<Item = &Mesh> {
        std::iter::once(self).chain(&self.islands)
    }

    /// The result JSON: the same mesh gives the same bytes on every machine.
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec(self)
            .unwrap_or_else(|_| unreachable!("plain numbers and strings always serialize"))
    }
}
