//! What holds for every mesh, whatever it was made of.

use spinelift_mesh::Mesh;
use spinelift_mesh::edges::Edges;
use std::collections::HashSet;

/// A side of a triangle, in the triangle's sense of rotation.
pub type Side = (u32, u32);

/// Checks what makes triangles a mesh, and returns the sides that no other triangle shares.
///
/// Every index is in range and every vertex used; every area is positive, by exact arithmetic,
/// and not above `max_area`; no two triangles lie on the same side of an edge.
pub fn check_triangles(
    vertices: &[[f64; 2]],
    triangles: &[[u32; 3]],
    max_area: Option<f64>,
) -> HashSet<Side> {
    assert!(!triangles.is_empty(), "no triangles");
    let mut is_used = vec![false; vertices.len()];
    let mut sides = HashSet::new();
    let slack = 1e-14 * bounding_area(vertices);
    for &triangle in triangles {
        let [a, b, c] = triangle.map(|index| {
            is_used[index as usize] = true;
            let [x, y] = vertices[index as usize];
            assert!(x.is_finite() && y.is_finite(), "vertex {index} not finite");
            robust::Coord { x, y }
        });
        let doubled_area = robust::orient2d(a, b, c);
        assert!(doubled_area > 0.0, "{triangle:?} is turned or flat");
        if let Some(max_area) = max_area {
            // The library compares in plain arithmetic, which rounds.
            assert!(
                doubled_area / 2.0 <= max_area * (1.0 + 1e-9) + slack,
                "{triangle:?} has more than {max_area} px²"
            );
        }
        let [a, b, c] = triangle;
        for side in [(a, b), (b, c), (c, a)] {
            assert!(sides.insert(side), "two triangles on one side of {side:?}");
        }
    }
    assert!(is_used.iter().all(|&used| used), "unused vertex");
    let is_boundary = |&(from, to): &Side| !sides.contains(&(to, from));
    sides.iter().copied().filter(is_boundary).collect()
}

/// Checks that rings and boundary are the same, all rings in the triangles' sense of rotation or
/// all against it.
pub fn check_rings(rings: &[Vec<u32>], boundary: &HashSet<Side>) {
    let along: HashSet<Side> = rings.iter().flat_map(|ring| ring_sides(ring)).collect();
    let against: HashSet<Side> = along.iter().map(|&(from, to)| (to, from)).collect();
    let count: usize = rings.iter().map(Vec::len).sum();
    assert_eq!(count, boundary.len(), "length of the rings");
    assert!(along == *boundary || against == *boundary, "rings");
}

fn ring_sides(ring: &[u32]) -> impl Iterator<Item = Side> {
    ring.iter()
        .copied()
        .zip(ring.iter().copied().cycle().skip(1))
}

/// Checks a finished mesh.
pub fn check_mesh(mesh: &Mesh, max_area: Option<f64>) {
    let boundary = check_triangles(&mesh.vertices, &mesh.triangles, max_area);

    let edges = Edges::of(&mesh.triangles, mesh.vertices.len());
    assert_eq!(edges.boundary, mesh.boundary_edges);
    assert_eq!(edges.internal, mesh.internal_edges);
    let listed: HashSet<Side> = pairs(&mesh.boundary_edges).collect();
    let expected = boundary.iter().map(|&(a, b)| (a.min(b), a.max(b)));
    assert_eq!(listed, expected.collect(), "boundary edges");

    // Where rings end is not recorded: compare how often each vertex comes.
    let mut balance = vec![0i32; mesh.vertices.len()];
    for &(from, _) in &boundary {
        balance[from as usize] += 1;
    }
    for &index in &mesh.boundary_indices {
        balance[index as usize] -= 1;
    }
    assert!(balance.iter().all(|&count| count == 0), "boundary indices");

    let (width, height) = (
        f64::from(mesh.metadata.width),
        f64::from(mesh.metadata.height),
    );
    let inside = |&[x, y]: &[f64; 2]| (0.0..=width).contains(&x) && (0.0..=height).contains(&y);
    assert!(mesh.vertices.iter().all(inside), "beyond the image");
    assert_eq!(mesh.uvs.len(), 2 * mesh.vertices.len());
    assert!(mesh.uvs.iter().all(|uv| (0.0..=1.0).contains(uv)), "UVs");
    assert_eq!(mesh.metadata.vertex_count, mesh.vertices.len());
    assert_eq!(mesh.metadata.triangle_count, mesh.triangles.len());
    assert_eq!(mesh.to_json(), mesh.to_json());
}

fn pairs(flat: &[u32]) -> impl Iterator<Item = Side> {
    flat.chunks_exact(2).map(|pair| (pair[0], pair[1]))
}

/// Area of the bounding box.
pub fn bounding_area(points: &[[f64; 2]]) -> f64 {
    let extent = |axis: usize| {
        let values = points.iter().map(|point| point[axis]);
        let least = values.clone().fold(f64::INFINITY, f64::min);
        values.fold(f64::NEG_INFINITY, f64::max) - least
    };
    extent(0) * extent(1)
}
