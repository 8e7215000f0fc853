//! Bounds are kept before the memory is spent.

use crate::drawing::png;
use spinelift_mesh::{Fault, Limits, MeshError, MeshParameters, generate};

fn opaque(width: u32, height: u32) -> Vec<u8> {
    let pixels = vec![0; (width * height) as usize];
    png(width, height, png::ColorType::Grayscale, &pixels)
}

fn densest() -> MeshParameters {
    MeshParameters {
        internal_vertex_density: 100,
        density_scaling_factor: 10_000.0,
        min_triangle_area: 0.1,
        ..Default::default()
    }
}

fn run(image: &[u8], parameters: &MeshParameters, limits: &Limits) -> Result<usize, MeshError> {
    generate(image, parameters, limits, &mut ()).map(|mesh| mesh.vertices.len())
}

#[test]
fn a_mesh_of_too_many_vertices_is_refused() {
    let error = run(&opaque(4096, 4096), &densest(), &Limits::default()).unwrap_err();
    assert_eq!(error.code(), "TRIANGULATION_FAILED");
    assert_eq!(error.fault(), Fault::Limit);
    assert_eq!(error.details()["max_mesh_vertices"], 100_000);
    assert!(error.details()["estimated_vertex_count"].as_u64().unwrap() > 700_000);
}

#[test]
fn a_mesh_may_have_exactly_as_many_vertices_as_allowed() {
    let image = opaque(100, 100);
    let parameters = MeshParameters {
        internal_vertex_density: 1,
        ..densest()
    };
    let vertices = run(&image, &parameters, &Limits::default()).unwrap();
    let at = |max_mesh_vertices| {
        run(
            &image,
            &parameters,
            &Limits {
                max_mesh_vertices,
                ..Limits::default()
            },
        )
    };
    assert_eq!(at(vertices), Ok(vertices));
    assert_eq!(at(vertices - 1).unwrap_err().code(), "TRIANGULATION_FAILED");
    assert_eq!(at(3).unwrap_err().code(), "TRIANGULATION_FAILED");
}

#[test]
fn the_largest_dimension_is_a_limit_of_its_own() {
    let image = opaque(65, 64);
    let at = |max_image_dimension| {
        run(
            &image,
            &MeshParameters::default(),
            &Limits {
                max_image_dimension,
                ..Limits::default()
            },
        )
    };
    assert!(at(65).is_ok());
    let error = at(64).unwrap_err();
    assert_eq!(
        (error.code(), error.fault()),
        ("IMAGE_LOAD_FAILED", Fault::Limit)
    );
    assert!(error.to_string().contains("65 x 64"), "{error}");
}

#[test]
fn the_number_of_pixels_is_a_limit_of_its_own() {
    let image = opaque(65, 64);
    let at = |max_image_pixels| {
        let limits = Limits {
            max_image_pixels,
            ..Limits::default()
        };
        run(&image, &MeshParameters::default(), &limits)
    };
    assert!(at(65 * 64).is_ok());
    let error = at(65 * 64 - 1).unwrap_err();
    assert_eq!(
        (error.code(), error.fault()),
        ("IMAGE_LOAD_FAILED", Fault::Limit)
    );
    let details = error.details();
    assert_eq!(details["reason"], "too_many_pixels");
    assert_eq!(details["max_image_pixels"], 65 * 64 - 1);
    assert_eq!(details["pixels"], 65 * 64);
    assert!(error.advice().contains("max_image_pixels"));
}

#[test]
fn the_decoder_may_not_use_more_memory_than_allowed() {
    let limits = Limits {
        max_decoder_memory: 100,
        ..Limits::default()
    };
    let error = run(&opaque(512, 512), &MeshParameters::default(), &limits).unwrap_err();
    assert_eq!(error.details()["reason"], "decoder_memory");
    assert_eq!(error.fault(), Fault::Limit);
}
