//! `spinelift-mesh generate`.

use crate::command::{json_file, run, run_with_input, spinelift_mesh};
use crate::sprites::{four_stars, save, star, transparent};
use serde_json::json;
use spinelift_mesh::parameters::{OPTIONS, PARAMETERS};
use std::fs;
use std::process::Stdio;
use tempfile::{TempDir, tempdir};

fn with_star() -> TempDir {
    let folder = tempdir().unwrap();
    save(folder.path(), "star.png", &star(200, 5));
    folder
}

#[test]
fn the_mesh_goes_to_standard_output_and_the_summary_to_standard_error() {
    let folder = with_star();
    let run = run(folder.path(), &["generate", "star.png"]).exits(0);
    let mesh = run.json();
    assert_eq!(mesh["metadata"]["width"], 200);
    let vertices = mesh["vertices"].as_array().unwrap().len();
    let triangles = mesh["triangles"].as_array().unwrap().len();
    assert!(
        vertices >= 10,
        "a star of five rays has ten corners, not {vertices}"
    );
    run.says(&[
        "star.png: 200 × 200 pixels",
        &format!("{vertices} vertices"),
        &format!("{triangles} triangles"),
        " ms",
    ]);
}

#[test]
fn mesh_and_preview_go_to_files() {
    let folder = with_star();
    let args = [
        "generate",
        "star.png",
        "-o",
        "mesh.json",
        "--preview",
        "mesh.svg",
    ];
    run(folder.path(), &args)
        .exits(0)
        .says(&["wrote mesh.json", "wrote mesh.svg"])
        .prints_nothing();
    let mesh = json_file(&folder.path().join("mesh.json"));
    let svg = fs::read_to_string(folder.path().join("mesh.svg")).unwrap();
    let svg = roxmltree::Document::parse(&svg).unwrap();
    let dots = svg
        .descendants()
        .filter(|node| node.has_tag_name("circle"))
        .count();
    assert_eq!(dots, mesh["vertices"].as_array().unwrap().len());
    let mut names: Vec<_> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["mesh.json", "mesh.svg", "star.png"]);
}

#[test]
fn a_cover_loses_no_pixel_and_the_summary_says_so() {
    let folder = with_star();
    let cover = ["generate", "star.png", "--outline", "cover"];
    let run_with = |args: &[&str]| run(folder.path(), &[&cover[..], args].concat()).exits(0);
    let outline = run_with(&["--max-vertices", "8", "--padding", "0.5"]);
    let mesh = outline.json();
    assert!(mesh["vertices"].as_array().unwrap().len() <= 8);
    assert_eq!(mesh["metadata"]["quality"]["pixels_cut"], 0);
    outline.says(&["100 % covered, overdraw 1."]);

    let filled = run_with(&["--interior-vertices", "60", "--min-angle", "20"]).json();
    assert!(filled["vertices"].as_array().unwrap().len() > 40);
    assert!(filled["metadata"]["quality"]["min_angle"].as_f64() >= Some(20.0));
    let reference = run(folder.path(), &["generate", "star.png"]).exits(0);
    assert!(reference.json()["metadata"]["quality"]["pixels_lost"].as_u64() > Some(0));
}

#[test]
fn islands_with_meshes_of_their_own_are_counted_and_drawn() {
    let folder = tempdir().unwrap();
    save(folder.path(), "stars.png", &four_stars(128));
    let args = [
        "generate",
        "stars.png",
        "--outline",
        "cover",
        "--islands",
        "separate",
        "--preview",
        "mesh.svg",
    ];
    let run = run(folder.path(), &args).exits(0);
    let mesh = run.json();
    let islands = mesh["islands"].as_array().unwrap();
    assert_eq!(islands.len(), 3);
    let vertices = |mesh: &serde_json::Value| mesh["vertices"].as_array().unwrap().len();
    let all = vertices(&mesh) + islands.iter().map(vertices).sum::<usize>();
    run.says(&[&format!("4 meshes, {all} vertices"), "100 % covered"]);
    let svg = fs::read_to_string(folder.path().join("mesh.svg")).unwrap();
    assert_eq!(svg.matches("<circle").count(), all);
}

#[test]
fn when_time_is_up_there_is_a_mesh_and_a_warning() {
    let folder = with_star();
    let args = ["generate", "star.png", "--outline", "cover"];
    let hurried = [&args[..], &["--deadline", "0ms"]].concat();
    let run_of = |args: &[&str]| run(folder.path(), args).exits(0);
    let cut = run_of(&hurried).says(&["time was up before the search"]);
    let mesh = cut.json();
    assert_eq!(mesh["metadata"]["quality"]["pixels_cut"], 0);
    assert_eq!(mesh["metadata"]["warnings"][0]["code"], "TIME_WAS_UP");

    // Who is in time gets what everybody gets.
    let patient = [&args[..], &["--deadline", "600s"]].concat();
    assert_eq!(run_of(&patient).stdout, run_of(&args).stdout);
}

#[test]
fn wrong_options_are_answered_with_what_is_right() {
    let folder = with_star();
    for (flag, value, said) in [
        ("--outline", "round", "[possible values: reference, cover]"),
        ("--max-vertices", "3", "from 4 to 256"),
        ("--interior-spacing", "1", "from 2 to 1000"),
        ("--deadline", "50", "such as 50ms or 1.5s"),
    ] {
        run(folder.path(), &["generate", "star.png", flag, value])
            .exits(2)
            .says(&[flag, said]);
    }
    run(folder.path(), &["generate", "star.png", "--padding", "2"])
        .exits(0)
        .says(&["outline.padding has an effect only with the outline mode `cover`"]);
    let help = run(folder.path(), &["generate", "--help"]).exits(0);
    let help = String::from_utf8(help.stdout).unwrap();
    for spec in &OPTIONS {
        assert!(help.contains(&format!("--{} ", spec.flag)), "{}", spec.flag);
    }
}

#[test]
fn standard_input_and_output_serve_as_files() {
    let folder = with_star();
    let image = fs::read(folder.path().join("star.png")).unwrap();
    let piped = run_with_input(folder.path(), &["generate", "-", "-o", "-"], &image).exits(0);
    let named = run(folder.path(), &["generate", "star.png"]).exits(0);
    assert_eq!(piped.stdout, named.stdout);
    let preview = ["generate", "-", "-o", "mesh.json", "--preview", "-"];
    let preview = run_with_input(folder.path(), &preview, &image).exits(0);
    assert!(preview.stdout.starts_with(b"<svg"));
}

#[test]
fn quiet_says_nothing() {
    let folder = with_star();
    let run = run(folder.path(), &["generate", "-q", "star.png"]).exits(0);
    assert_eq!(run.stderr, "");
}

#[test]
fn flags_override_the_file_and_unknown_keys_are_told() {
    let folder = with_star();
    let parameters = json!({ "detail_factor": 0.02, "alpha_threshold": 7, "edge_threshold": 3 });
    save(
        folder.path(),
        "params.json",
        parameters.to_string().as_bytes(),
    );
    let args = [
        "generate",
        "star.png",
        "--params",
        "params.json",
        "--detail-factor",
        "0.03",
    ];
    let run = run(folder.path(), &args).exits(0);
    let metadata = &run.json()["metadata"];
    assert_eq!(metadata["parameters"]["detail_factor"], 0.03);
    assert_eq!(metadata["parameters"]["alpha_threshold"], 7);
    assert_eq!(metadata["warnings"][0]["code"], "UNKNOWN_PARAMETER");
    run.says(&["warning: unknown parameter `edge_threshold` was ignored"]);
}

#[test]
fn help_shows_every_parameter_with_default_and_range() {
    let folder = tempdir().unwrap();
    let run = run(folder.path(), &["generate", "--help"]).exits(0);
    let help = String::from_utf8(run.stdout).unwrap();
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    for spec in PARAMETERS {
        for part in [
            format!("--{} ", spec.name.replace('_', "-")),
            format!(
                "[default: {}] [range: {} to {}]",
                spec.default, spec.minimum, spec.maximum
            ),
        ] {
            assert!(help.contains(&part), "{part:?} is missing in:\n{help}");
        }
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    let folder = with_star();
    save(folder.path(), "params.json", br#"{"alpha_threshold": 256}"#);
    let cases: [(&[&str], &[&str]); 8] = [
        (
            &["star.png", "--detail-factor", "-0.5"],
            &["--detail-factor", "-0.5", "0.001 to 0.05"],
        ),
        (
            &["star.png", "--blur-kernel-size", "1.5"],
            &["--blur-kernel-size", "1.5", "1 to 21"],
        ),
        (
            &["star.png", "--alpha-threshold", "many"],
            &["--alpha-threshold", "many", "0 to 255"],
        ),
        (
            &["star.png", "--params", "params.json"],
            &["params.json", "alpha_threshold", "256"],
        ),
        (
            &["star.png", "--max-image-dimension", "0"],
            &["--max-image-dimension"],
        ),
        (&["star.png", "--preview", "-"], &["standard output"]),
        (&["star.png", "-o", "./star.png"], &["is the image itself"]),
        (&[], &["<IMAGE>"]),
    ];
    for (args, said) in cases {
        let args: Vec<_> = ["generate"].iter().chain(args).copied().collect();
        run(folder.path(), &args)
            .exits(2)
            .says(said)
            .prints_nothing();
    }
    assert_eq!(
        fs::read(folder.path().join("star.png")).unwrap(),
        star(200, 5)
    );
}

#[test]
fn what_cannot_be_done_exits_with_1_and_says_what_to_do() {
    let folder = with_star();
    save(folder.path(), "clear.png", &transparent(20));
    save(folder.path(), "text.png", b"GIF89a");
    save(folder.path(), "file", b"");
    let cases: [(&[&str], &[&str]); 9] = [
        (
            &["none.png"],
            &["error[INPUT_NOT_READABLE]", "none.png", "hint: "],
        ),
        (&["."], &["is a folder", "spinelift-mesh batch"]),
        (
            &["text.png"],
            &["error[IMAGE_LOAD_FAILED]", "text.png", "a GIF", "hint: "],
        ),
        (
            &["clear.png"],
            &["error[CONTOUR_EXTRACTION_FAILED]", "clear.png", "hint: "],
        ),
        (
            &["star.png", "--max-image-dimension", "199"],
            &["200 x 200", "--max-image-dimension"],
        ),
        (
            &["star.png", "-o", "none/mesh.json"],
            &["there is no folder none", "mkdir -p none"],
        ),
        (
            &["star.png", "-o", "file/mesh.json"],
            &["file is not a folder"],
        ),
        (
            &["star.png", "-o", "."],
            &["error[OUTPUT_NOT_WRITABLE]", "it is a folder"],
        ),
        (
            &["star.png", "--params", "none.json"],
            &["none.json", "hint: "],
        ),
    ];
    for (args, said) in cases {
        let args: Vec<_> = ["generate"].iter().chain(args).copied().collect();
        run(folder.path(), &args)
            .exits(1)
            .says(said)
            .prints_nothing();
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_told() {
    let folder = with_star();
    for option in ["-o", "--preview"] {
        run(
            folder.path(),
            &["generate", "star.png", option, "/dev/full"],
        )
        .exits(1)
        .says(&[
            "cannot write /dev/full: no space is left",
            "hint: Free some space",
        ])
        .prints_nothing();
    }
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = spinelift_mesh()
        .current_dir(folder.path())
        .args(["generate", "star.png"])
        .stdout(Stdio::from(full))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let folder = with_star();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = spinelift_mesh()
        .current_dir(folder.path())
        .args(["generate", "-q", "star.png"])
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
