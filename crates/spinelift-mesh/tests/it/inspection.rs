//! The quality of meshes that are read from files.

use crate::exports::{mesh_of, sample};
use spinelift_mesh::export::Sprite;
use spinelift_mesh::export::spine::{Version, skeleton};
use spinelift_mesh::import::Document;
use spinelift_mesh::{Limits, MeshParameters, generate};

#[test]
fn a_result_is_measured_as_when_it_was_made() {
    let limits = Limits::default();
    for name in ["rocket.png", "police-officer.png"] {
        let image = sample(name);
        let mesh = generate(&image, &MeshParameters::default(), &limits, &mut ()).unwrap();
        let Document::Mesh(read) = Document::read(&mesh.to_json(), &limits).unwrap() else {
            panic!("a mesh");
        };
        let size = [mesh.metadata.width, mesh.metadata.height];
        assert_eq!(read.size, Some(size));
        let quality = read.shape(size).unwrap().quality(&image, &limits, &mut ());
        assert_eq!(quality, Ok(mesh.metadata.quality));
    }
}

#[test]
fn an_attachment_is_measured_by_its_texture_coordinates() {
    let limits = Limits::default();
    let image = sample("horse.png");
    let shape = mesh_of(&image);
    let sprite = Sprite {
        name: "horse",
        texture: "horse.png",
        shape: &shape,
    };
    let json = skeleton(&[sprite], Version::V3_8, "./").unwrap();
    let Document::Spine(meshes) = Document::read(&json, &limits).unwrap() else {
        panic!("a skeleton");
    };
    let read = meshes[0].shape([shape.width(), shape.height()]).unwrap();
    let found = read.quality(&image, &limits, &mut ()).unwrap();
    let made = shape.quality(&image, &limits, &mut ()).unwrap();
    assert_eq!(found.visible_pixels, made.visible_pixels);
    assert_eq!(
        (found.vertices, found.triangles),
        (made.vertices, made.triangles)
    );
    assert!((found.area - made.area).abs() < 1e-2);
    // The outline runs through centres of pixels, and not beside them.
    assert_eq!(found.pixels_lost, made.pixels_lost);
    assert_eq!(found.pixels_cut, made.pixels_cut);
}

/// Made by another program, far outside of the image, and wound either way.
#[test]
fn foreign_meshes_are_measured_without_harm() {
    let limits = Limits::default();
    let image = sample("rocket.png");
    let json = br#"{
        "vertices": [[-1e6, -1e6], [1e6, -999999.9], [0.5, 1e6], [1e-300, 44.5]],
        "triangles": [[0, 1, 2], [0, 2, 1], [3, 3, 3]]
    }"#;
    let Document::Mesh(read) = Document::read(json, &limits).unwrap() else {
        panic!("a mesh");
    };
    let quality = read.shape([89, 89]).unwrap();
    let quality = quality.quality(&image, &limits, &mut ()).unwrap();
    assert_eq!(quality.triangles, 3);
    assert!(quality.coverage >= 0.0 && quality.coverage <= 1.0);
}
