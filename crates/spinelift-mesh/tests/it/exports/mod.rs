//! Every format, read back by software that is not ours.

mod atlas;
mod godot;
mod models;
mod pictures;
mod spine;

use spinelift_mesh::export::Sprite;
use spinelift_mesh::{Limits, MeshParameters, Shape, generate};
use std::path::Path;

/// A sprite that comes with the program.
pub(crate) fn sample(name: &str) -> Vec<u8> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples");
    std::fs::read(samples.join(name)).unwrap()
}

/// A mesh with vertices inside.
pub(crate) fn mesh_of(image: &[u8]) -> Shape {
    let parameters = MeshParameters {
        internal_vertex_density: 1,
        density_scaling_factor: 300.0,
        ..MeshParameters::default()
    };
    let mesh = generate(image, &parameters, &Limits::default(), &mut ()).unwrap();
    let shape = Shape::from(&mesh);
    assert!(mesh.boundary_indices.len() < shape.vertices().len());
    // The drawer of the Spine runtime has room for no more, and does not look.
    assert!(shape.vertices().len() < 500);
    shape
}

/// Two triangles apart from each other.
fn apart() -> Shape {
    let vertices = vec![
        [0.0, 0.0],
        [4.0, 0.0],
        [0.0, 4.0],
        [8.0, 8.0],
        [5.0, 8.0],
        [8.0, 5.0],
    ];
    Shape::new([8, 8], vertices, vec![[0, 1, 2], [3, 4, 5]]).unwrap()
}

fn sprite<'a>(name: &'a str, shape: &'a Shape) -> Sprite<'a> {
    Sprite {
        name,
        texture: "art.png",
        shape,
    }
}

/// The triangles as places, whatever their vertices are numbered.
fn placed<const SIZE: usize>(
    triangles: impl IntoIterator<Item = [[f64; SIZE]; 3]>,
) -> Vec<[[f64; SIZE]; 3]> {
    triangles.into_iter().collect()
}

/// Each triangle is there once, wound the same way.
#[track_caller]
fn assert_near<const SIZE: usize>(
    found: &[[[f64; SIZE]; 3]],
    expected: &[[[f64; SIZE]; 3]],
    tolerance: f64,
) {
    assert_eq!(found.len(), expected.len());
    let is_near =
        |a: &[f64; SIZE], b: &[f64; SIZE]| a.iter().zip(b).all(|(a, b)| (a - b).abs() <= tolerance);
    let is_same = |a: &[[f64; SIZE]; 3], b: &[[f64; SIZE]; 3]| {
        (0..3).any(|turn| (0..3).all(|corner| is_near(&a[corner], &b[(corner + turn) % 3])))
    };
    let mut left = found.to_vec();
    for triangle in expected {
        let at = left.iter().position(|other| is_same(triangle, other));
        left.swap_remove(at.unwrap_or_else(|| panic!("no {triangle:?}")));
    }
}
