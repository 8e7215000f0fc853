//! A mesh, as the description of the API has it.

use super::openapi::NormalizedParameters;
use serde::Serialize;
use utoipa::ToSchema;

/// A mesh. Coordinates are pixels, origin top left, y down; the vertices of the outline come
/// first, in ring order.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes the library's `Mesh`")]
pub(super) struct Mesh {
    /// `[x, y]` of each vertex.
    #[schema(example = json!([[42.0, 0.0], [13.0, 21.0], [60.0, 21.0]]))]
    vertices: Vec<Vec<f64>>,
    /// Three vertices each.
    #[schema(example = json!([[0, 2, 1]]))]
    triangles: Vec<Vec<u32>>,
    /// `u0, v0, u1, v1, …`, each from 0 to 1, v down.
    #[schema(example = json!([0.47, 0.0, 0.15, 0.24, 0.67, 0.24]))]
    uvs: Vec<f64>,
    /// `a0, b0, a1, b1, …`: edges of one triangle, the smaller vertex first.
    #[schema(example = json!([0, 1, 0, 2, 1, 2]))]
    boundary_edges: Vec<u32>,
    /// The same for edges of two triangles.
    #[schema(example = json!([]))]
    internal_edges: Vec<u32>,
    /// The vertices on the boundary, in ring order.
    #[schema(example = json!([0, 1, 2]))]
    boundary_indices: Vec<u32>,
    metadata: Metadata,
    /// The meshes of the other islands, the largest first, where `outline.islands` is `separate`;
    /// absent if there are none.
    #[schema(no_recursion, nullable = false)]
    islands: Option<Vec<Mesh>>,
}

/// What is known of a mesh.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes the library's `Metadata`")]
pub(super) struct Metadata {
    /// Of the image, in pixels.
    #[schema(minimum = 1, example = 89)]
    width: u32,
    /// Of the image, in pixels.
    #[schema(minimum = 1, example = 89)]
    height: u32,
    #[schema(minimum = 3, example = 3)]
    vertex_count: u32,
    #[schema(minimum = 1, example = 1)]
    triangle_count: u32,
    /// All nine as they were used, and the optional ones that are not defaults; without the deadline.
    #[schema(value_type = NormalizedParameters)]
    parameters: (),
    /// Changes whenever the same input gives another mesh.
    #[schema(example = "1")]
    algorithm_version: String,
    /// What was repaired, replaced or ignored.
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<()>,
    quality: Quality,
}

/// How good a mesh is. What there is nothing to measure for is `null`.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes the library's `Quality`")]
pub(super) struct Quality {
    /// Pixels that are not wholly transparent.
    #[schema(minimum = 0, example = 3000)]
    visible_pixels: u64,
    /// Those whose centre is outside of the mesh; exact.
    #[schema(minimum = 0, example = 0)]
    pixels_lost: u64,
    /// Those that are not inside as whole squares; exact.
    #[schema(minimum = 0, example = 0)]
    pixels_cut: u64,
    /// The share of visible pixels that are not lost.
    #[schema(minimum = 0, maximum = 1, example = 1.0)]
    coverage: f64,
    /// Of the mesh, in square pixels.
    #[schema(minimum = 0, example = 3220.5)]
    area: f64,
    /// Area of the mesh over the number of visible pixels.
    #[schema(example = 1.0735)]
    overdraw: Option<f64>,
    /// How many there are.
    #[schema(minimum = 3, example = 12)]
    vertices: u32,
    /// How many there are.
    #[schema(minimum = 1, example = 10)]
    triangles: u32,
    /// The smallest angle, in degrees.
    #[schema(example = 21.4)]
    min_angle: Option<f64>,
    /// The median over the triangles of their smallest angles, in degrees.
    #[schema(example = 40.1)]
    median_angle: Option<f64>,
    /// Its area in square pixels.
    #[schema(example = 12.5)]
    smallest_triangle: Option<f64>,
    /// Pairs of vertices nearer than a quarter of a pixel.
    #[schema(minimum = 0, example = 0)]
    near_duplicate_vertices: u32,
    /// Of the triangles with an angle below 10 degrees, the area of the one with the longest edge,
    /// in square pixels.
    longest_thin_triangle: Option<f64>,
}
