//! The presets on real art.

use spinelift_mesh::parameters::PRESETS;
use spinelift_mesh::{Limits, generate};
use std::fs;
use std::path::Path;

/// Vertices and triangles of all samples together.
fn totals(parameters: &spinelift_mesh::MeshParameters) -> (usize, usize) {
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples");
    let mut totals = (0, 0);
    for entry in fs::read_dir(samples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "png") {
            let image = fs::read(path).unwrap();
            let mesh = generate(&image, parameters, &Limits::default(), &mut ()).unwrap();
            assert_eq!(mesh.metadata.warnings, []);
            totals.0 += mesh.vertices.len();
            totals.1 += mesh.triangles.len();
        }
    }
    totals
}

#[test]
fn each_preset_is_half_as_costly_as_the_one_before() {
    let counts: Vec<_> = PRESETS
        .iter()
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
