//! Any bytes → meshes of whatever origin → their quality, and every format that needs no image.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spinelift_mesh::export::spine::Version;
use spinelift_mesh::export::{Format, Sprite, write};
use spinelift_mesh::import::Document;
use spinelift_mesh::{Limits, Shape};
use std::sync::LazyLock;

const LIMITS: Limits = Limits {
    max_image_dimension: SIDE,
    max_mesh_vertices: 100,
    ..Limits::DEFAULT
};

const SIDE: u32 = 16;

/// Half of its pixels are visible.
static IMAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, SIDE, SIDE);
    encoder.set_color(png::ColorType::GrayscaleAlpha);
    let pixels: Vec<u8> = (0..SIDE * SIDE)
        .flat_map(|index| [0, if index % 2 == 0 { 255 } else { 0 }])
        .collect();
    let mut writer = encoder.write_header().expect("a header");
    writer.write_image_data(&pixels).expect("pixels");
    writer.finish().expect("an end");
    file
});

fuzz_target!(|bytes: &[u8]| {
    let shapes: Vec<_> = match Document::read(bytes, &LIMITS) {
        Ok(Document::Mesh(mesh)) => vec![mesh.shape(mesh.size.unwrap_or([SIDE, SIDE]))],
        Ok(Document::Spine(meshes)) => {
            let shape = |mesh: &spinelift_mesh::import::SpineMesh| mesh.shape([SIDE, SIDE]);
            meshes.iter().map(shape).collect()
        }
        Err(error) => return assert!(!error.to_string().is_empty()),
    };
    for shape in shapes {
        match shape {
            Ok(shape) => check(&shape),
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
});

fn check(shape: &Shape) {
    let quality = shape.quality(&IMAGE, &LIMITS, &mut ()).expect("measured");
    assert_eq!(quality.triangles, shape.triangles().len());
    assert!((0.0..=1.0).contains(&quality.coverage), "{quality:?}");
    let sprite = Sprite {
        name: "art",
        texture: "art.png",
        shape,
    };
    for format in Format::ALL
        .into_iter()
        .filter(|format| !format.needs_image())
    {
        let written = write(format, &sprite, None, &LIMITS).expect("few vertices");
        if format == Format::Spine(Version::V4_2) {
            check_skeleton(&written, shape);
        }
    }
}

/// Every triangle that has an area is in a piece, whose outline comes first and has its edges first.
fn check_skeleton(json: &[u8], shape: &Shape) {
    let json: serde_json::Value = serde_json::from_slice(json).expect("JSON");
    let slots = json["skins"][0]["attachments"].as_object();
    let mut triangles = 0;
    for attachments in slots.expect("an object").values() {
        let mesh = &attachments["art"];
        let list = |name: &str| mesh[name].as_array().expect("a list");
        let count = list("uvs").len() / 2;
        assert_eq!(list("vertices").len(), 2 * count);
        let hull = mesh["hull"].as_u64().expect("a number") as usize;
        assert!((3..=count).contains(&hull), "{hull} of {count}");
        let edges = list("edges");
        assert!(edges.len() >= 2 * hull);
        let is_index = |value: &serde_json::Value, step: u64| {
            value
                .as_u64()
                .is_some_and(|index| index % step == 0 && index / step < count as u64)
        };
        assert!(edges.iter().all(|index| is_index(index, 2)));
        assert!(list("triangles").iter().all(|index| is_index(index, 1)));
        triangles += list("triangles").len() / 3;
    }
    let at = |vertex: u32| {
        let [x, y] = shape.vertices()[vertex as usize];
        robust::Coord { x, y }
    };
    let corners = shape.triangles().iter();
    let areas = corners.map(|&[a, b, c]| robust::orient2d(at(a), at(b), at(c)));
    assert_eq!(triangles, areas.filter(|area| *area != 0.0).count());
}
