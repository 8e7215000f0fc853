//! Every stage against the results of the reference implementation (see `tools/reference`).

use crate::expected::{Case, Slack};
use flate2::read::GzDecoder;
use serde_json::{Value, json};
use spinelift_mesh::MeshParameters;
use std::collections::HashMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[derive(serde::Deserialize)]
struct Goldens {
    cases: Vec<Case>,
}

#[test]
fn the_committed_images_give_the_reference_results() {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read(crate_folder.join("tests/goldens/reference.json")).unwrap();
    let goldens: Goldens = serde_json::from_slice(&text).unwrap();
    assert!(goldens.cases.len() > 1000);
    let folder = |image: &str| match image.strip_prefix("samples/") {
        Some(_) => repository().join("assets").join(image),
        None => crate_folder.join("tests/images").join(image),
    };
    let cases: Vec<&Case> = goldens
        .cases
        .iter()
        .filter(|case| explanation(case).is_none())
        .collect();
    check_all(
        &cases,
        folder,
        |case| case.parameters.clone(),
        Slack { vertices: 5 },
    );
}

/// Why a case differs from the reference.
fn explanation(case: &Case) -> Option<&'static str> {
    match (case.image.as_str(), case.params.as_str()) {
        ("shapes/figure-large.png", "mosttriangles") => {
            Some("more than max_mesh_vertices: refused, which `limits` tests")
        }
        ("shapes/image-4096x3.png", "densest") => Some(
            "1.17 times the vertices: a strip as high as one triangle, where either luck decides",
        ),
        _ => None,
    }
}

/// Checks a larger set of reference results where one lies in `shared` beside the checkout, or
/// where `SPINELIFT_REFERENCE` says.
#[test]
fn a_larger_set_of_reference_results_is_met_where_there_is_one() {
    let folder = std::env::var_os("SPINELIFT_REFERENCE")
        .map_or_else(|| repository().join("../shared"), PathBuf::from);
    let Ok(packed) = fs::read(folder.join("goldens/reference.jsonl.gz")) else {
        return;
    };
    let mut text = String::new();
    GzDecoder::new(packed.as_slice())
        .read_to_string(&mut text)
        .unwrap();
    let cases: Vec<Case> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let path = |image: &str| folder.join("sprites").join(image);
    let parameters = |case: &Case| parameter_set(&case.params);
    check_all(
        &cases.iter().collect::<Vec<_>>(),
        path,
        parameters,
        Slack { vertices: 0 },
    );
}

#[rustfmt::skip]
fn parameter_set(name: &str) -> Value {
    match name {
        "default" => json!({}),
        "fine" => json!({ "detail_factor": 0.05, "alpha_threshold": 0 }),
        "coarse" => json!({ "detail_factor": 0.001, "alpha_threshold": 0 }),
        "blur" => json!({ "blur_kernel_size": 7, "binary_threshold": 100, "min_contour_area": 50, "alpha_threshold": 0 }),
        "evenblur" => json!({ "blur_kernel_size": 4, "binary_threshold": 60, "detail_factor": 0.03, "alpha_threshold": 0 }),
        "concave" => json!({ "concave_factor": 60, "detail_factor": 0.02 }),
        "faint" => json!({ "binary_threshold": 1, "blur_kernel_size": 3, "min_contour_area": 1, "detail_factor": 0.04, "alpha_threshold": 0 }),
        "dense" => json!({ "internal_vertex_density": 20, "detail_factor": 0.02 }),
        "densest" => json!({ "internal_vertex_density": 100, "density_scaling_factor": 100, "min_triangle_area": 4, "detail_factor": 0.03 }),
        other => panic!("unknown parameter set {other}"),
    }
}

fn check_all(
    cases: &[&Case],
    path: impl Fn(&str) -> PathBuf,
    parameters: impl Fn(&Case) -> Value,
    slack: Slack,
) {
    let mut images: HashMap<&str, Vec<u8>> = HashMap::new();
    let mut failures = Vec::new();
    for case in cases {
        let image = images.entry(&case.image).or_insert_with(|| {
            let path = path(&case.image);
            fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        });
        let (parameters, _) = MeshParameters::from_json(&parameters(case)).unwrap();
        if let Err(difference) = case.check(image, &parameters, slack) {
            failures.push(format!("{}: {difference}", case.name()));
        }
    }
    let total = cases.len();
    assert!(
        failures.is_empty(),
        "{} of {total} differ:\n{}",
        failures.len(),
        failures.join("\n")
    );
}
