//! The presets on real art.

use spinelift_mesh::parameters::{OutlineMode, PRESETS, Preset};
use spinelift_mesh::{Limits, Mesh, MeshParameters, generate};
use std::fs;
use std::path::Path;

/// Vertices and triangles of all samples together.
fn totals(parameters: &MeshParameters) -> (usize, usize) {
    meshes(parameters).fold((0, 0), |(vertices, triangles), mesh| {
        (
            vertices + mesh.vertices.len(),
            triangles + mesh.triangles.len(),
        )
    })
}

/// The meshes of all samples.
fn meshes(parameters: &MeshParameters) -> impl Iterator<Item = Mesh> {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples");
    let paths = fs::read_dir(samples)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let images = paths.filter(|path| path.extension().is_some_and(|extension| extension == "png"));
    images.map(|path| {
        let image = fs::read(path).unwrap();
        let mesh = generate(&image, parameters, &Limits::default(), &mut ()).unwrap();
        assert_eq!(mesh.metadata.warnings, []);
        mesh
    })
}

#[test]
fn presets_of_covers_lose_no_pixel() {
    for (name, expected) in [("full_coverage", 96), ("full_coverage_bend", 480)] {
        let preset = Preset::by_name(name).unwrap();
        let (vertices, _) = totals(&preset.parameters);
        assert!(
            vertices <= expected && vertices * 10 > expected * 9,
            "{vertices}"
        );
        assert_eq!(lost(&preset.parameters), 0);
    }
}

/// Pixels of all samples that are not inside as whole squares.
fn lost(parameters: &MeshParameters) -> u64 {
    meshes(parameters)
        .map(|mesh| mesh.metadata.quality.pixels_cut)
        .sum()
}

#[test]
fn each_preset_is_half_as_costly_as_the_one_before() {
    let counts: Vec<_> = PRESETS
        .iter()
        .filter(|preset| preset.parameters.outline.mode == OutlineMode::Reference)
        .map(|preset| totals(&preset.parameters))
        .collect();
    assert_eq!(
        counts,
        [(1604, 2652), (437, 636), (127, 111), (45, 29)],
        "beside these totals the README has the medians"
    );
    for pair in counts.windows(2) {
        assert!(2 * pair[1].0 < pair[0].0 && 2 * pair[1].1 < pair[0].1);
    }
}
