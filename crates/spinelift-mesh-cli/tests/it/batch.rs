//! `spinelift-mesh batch`.

use crate::command::{Run, json_file, run};
use crate::sprites::{four_stars, save, star, transparent};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;
use tempfile::{TempDir, tempdir};

fn tree() -> TempDir {
    let root = tempdir().unwrap();
    save(root.path(), "art/hero/head.png", &star(64, 3));
    save(root.path(), "art/hero/HAND.PNG", &star(48, 4));
    save(root.path(), "art/tree.png", &star(80, 7));
    // The extension does not matter; the two do not overwrite each other.
    save(root.path(), "art/tree.webp", &star(80, 8));
    save(root.path(), "art/notes.txt", b"not an image");
    root
}

fn batch(root: &TempDir, args: &[&str]) -> Run {
    let args: Vec<_> = ["batch"].iter().chain(args).copied().collect();
    run(root.path(), &args)
}

fn report(root: &TempDir) -> Value {
    json_file(&root.path().join("out/report.json"))
}

/// Status by input.
fn statuses(report: &Value) -> BTreeMap<&str, &str> {
    let images = report["images"].as_array().unwrap().iter();
    images
        .map(|image| {
            (
                image["input"].as_str().unwrap(),
                image["status"].as_str().unwrap(),
            )
        })
        .collect()
}

fn modified(path: &Path) -> SystemTime {
    fs::metadata(path).unwrap().modified().unwrap()
}

#[test]
fn covers_are_reported_with_what_they_cover() {
    let root = tree();
    save(root.path(), "art/stars.png", &four_stars(64));
    let file = json!({ "outline": { "mode": "cover", "islands": "separate", "max_vertices": 6 } });
    save(root.path(), "cover.json", file.to_string().as_bytes());
    let args = ["art", "-o", "out", "--params", "cover.json"];
    let with = |rest: &[&str]| batch(&root, &[&args[..], rest].concat()).exits(0);
    with(&["--max-vertices", "8"]);
    let report = report(&root);
    assert_eq!(
        report["settings"]["parameters"]["outline"]["max_vertices"],
        8
    );
    for image in report["images"].as_array().unwrap() {
        assert_eq!(image["coverage"], 1.0, "{image}");
        assert!(image["overdraw"].as_f64() >= Some(1.0), "{image}");
        let meshes = if image["input"] == "art/stars.png" {
            4
        } else {
            1
        };
        assert_eq!(image["mesh_count"], meshes, "{image}");
    }
    with(&["--max-vertices", "8", "--resume"]).says(&["5 skipped"]);
    with(&["--max-vertices", "9", "--resume"]).says(&["other parameters or limits"]);
}

#[test]
fn a_tree_is_mirrored_and_reported() {
    let root = tree();
    batch(&root, &["art", "-o", "out", "--preview"])
        .exits(0)
        .says(&[
            "[4/4] ok",
            "4 images: 4 done in ",
            "report: out/report.json",
        ])
        .prints_nothing();
    let report = report(&root);
    assert_eq!(report["interrupted"], false);
    assert_eq!(report["totals"]["images"], 4);
    assert_eq!(report["totals"]["ok"], 4);
    let outputs: Vec<_> = report["images"]
        .as_array()
        .unwrap()
        .iter()
        .map(|image| image["output"].clone())
        .collect();
    assert_eq!(
        json!(outputs),
        json!([
            "hero/HAND.PNG.mesh.json",
            "hero/head.png.mesh.json",
            "tree.png.mesh.json",
            "tree.webp.mesh.json",
        ])
    );
    for image in report["images"].as_array().unwrap() {
        let file = |key: &str| root.path().join("out").join(image[key].as_str().unwrap());
        let mesh = json_file(&file("output"));
        assert_eq!(image["vertex_count"], mesh["metadata"]["vertex_count"]);
        assert_eq!(image["triangle_count"], mesh["metadata"]["triangle_count"]);
        assert!(image["milliseconds"].as_f64().unwrap() > 0.0);
        assert!(
            fs::read_to_string(file("preview"))
                .unwrap()
                .starts_with("<svg")
        );
    }
}

#[test]
fn results_are_those_of_generate() {
    let root = tree();
    batch(
        &root,
        &["art", "-o", "out", "--detail-factor", "0.02", "--jobs", "3"],
    )
    .exits(0);
    let single = run(
        root.path(),
        &["generate", "art/tree.png", "--detail-factor", "0.02"],
    );
    let result = fs::read(root.path().join("out/tree.png.mesh.json")).unwrap();
    assert_eq!(single.stdout, result);
}

#[test]
fn a_failed_image_does_not_stop_the_others() {
    let root = tree();
    save(root.path(), "art/broken.png", b"\x89PNG\r\n\x1a\n");
    save(root.path(), "art/clear.png", &transparent(16));
    batch(&root, &["art", "missing.png", "-o", "out"])
        .exits(1)
        .says(&[
            "error[IMAGE_LOAD_FAILED]: art/broken.png",
            "error[CONTOUR_EXTRACTION_FAILED]: art/clear.png",
            "there is no file missing.png",
            "7 images: 4 done, 3 failed",
            "--resume",
        ]);
    let report = report(&root);
    assert_eq!(report["totals"]["failed"], 3);
    let clear = report["images"].as_array().unwrap().iter();
    let clear = clear
        .clone()
        .find(|image| image["input"] == "art/clear.png")
        .unwrap();
    assert_eq!(clear["status"], "failed");
    assert_eq!(clear["error"]["code"], "CONTOUR_EXTRACTION_FAILED");
    assert_eq!(clear["error"]["details"]["reason"], "nothing_visible");
}

#[test]
fn resume_does_what_is_missing_or_has_changed() {
    let root = tree();
    let hand = root.path().join("out/hero/HAND.PNG.mesh.json");
    save(root.path(), "art/broken.png", b"");
    // What follows the end of a PNG is ignored.
    let padded = |mut bytes: Vec<u8>| {
        bytes.resize(20_000, 0);
        bytes
    };
    let image = root.path().join("art/tree.png");
    fs::write(&image, padded(star(80, 7))).unwrap();
    batch(&root, &["art", "-o", "out"]).exits(1);
    let made = modified(&hand);

    // Of the same size and with the same time stamp, as after a sync.
    let before = modified(&image);
    fs::write(&image, padded(star(80, 9))).unwrap();
    fs::File::options()
        .write(true)
        .open(&image)
        .unwrap()
        .set_modified(before)
        .unwrap();
    fs::remove_file(root.path().join("out/hero/head.png.mesh.json")).unwrap();
    save(root.path(), "art/broken.png", &star(20, 3));
    save(root.path(), "art/new.png", &star(20, 4));

    batch(&root, &["art", "-o", "out", "--resume"])
        .exits(0)
        .says(&["4 done, 2 skipped"]);
    assert_eq!(modified(&hand), made);
    let all = BTreeMap::from([
        ("art/broken.png", "ok"),
        ("art/hero/HAND.PNG", "skipped"),
        ("art/hero/head.png", "ok"),
        ("art/new.png", "ok"),
        ("art/tree.png", "ok"),
        ("art/tree.webp", "skipped"),
    ]);
    assert_eq!(statuses(&report(&root)), all);

    batch(&root, &["art", "-o", "out", "--resume"])
        .exits(0)
        .says(&["0 done, 6 skipped"]);
    let previews = ["art", "-o", "out", "--resume", "--preview"];
    batch(&root, &previews).exits(0).says(&["6 done"]);
    batch(&root, &previews).exits(0).says(&["6 skipped"]);
}

#[test]
fn resume_with_other_parameters_does_all_again() {
    let root = tree();
    batch(&root, &["art", "-o", "out"]).exits(0);
    let other = ["art", "-o", "out", "--resume", "--detail-factor", "0.02"];
    batch(&root, &other).exits(0).says(&[
        "the earlier run had other parameters",
        "4 images: 4 done in",
    ]);
    let mesh = json_file(&root.path().join("out/tree.png.mesh.json"));
    assert_eq!(mesh["metadata"]["parameters"]["detail_factor"], 0.02);
    batch(&root, &other).exits(0).says(&["4 skipped"]);
}

#[test]
fn output_within_the_input_is_not_read_again() {
    let root = tree();
    for _ in 0..2 {
        batch(&root, &[".", "-o", "out", "--preview"])
            .exits(0)
            .says(&["4 images: 4 done"]);
    }
    // Or beside the images.
    for _ in 0..2 {
        batch(&root, &["art", "-o", "art", "--preview"])
            .exits(0)
            .says(&["4 images: 4 done"]);
    }
    assert!(root.path().join("art/tree.png.mesh.json").exists());
}

#[test]
fn nothing_to_do_and_nowhere_to_write_are_errors() {
    let root = tree();
    fs::create_dir(root.path().join("empty")).unwrap();
    batch(&root, &["empty", "-o", "out"])
        .exits(1)
        .says(&["error[NO_IMAGES]: no images found in empty", "hint: "]);
    assert!(!root.path().join("out").exists());
    batch(&root, &["nowhere", "-o", "out"])
        .exits(1)
        .says(&["nowhere"]);
    batch(&root, &["art", "-o", "art/tree.png"])
        .exits(1)
        .says(&["art/tree.png is not a folder"]);
    batch(&root, &["art"]).exits(2).says(&["--output"]);
    batch(&root, &["art", "-o", "out", "--jobs", "0"])
        .exits(2)
        .says(&["--jobs"]);
}

#[test]
fn quiet_tells_only_errors() {
    let root = tree();
    let run = batch(&root, &["art", "-o", "out", "--quiet"]).exits(0);
    assert_eq!(run.stderr, "");
    save(root.path(), "art/broken.png", b"");
    batch(&root, &["art", "-o", "out", "--quiet"])
        .exits(1)
        .says(&["art/broken.png"]);
}

/// Room for the report and a few results, and none for the rest.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_ends_the_batch_and_is_said_once() {
    let root = tempdir().unwrap();
    for number in 0..50 {
        save(root.path(), &format!("art/{number:02}.png"), &star(64, 5));
    }
    let program = env!("CARGO_BIN_EXE_spinelift-mesh");
    // No byte can be written to any file.
    let limited = format!("ulimit -f 0; exec '{program}' batch art -o out -j 1");
    let made = std::process::Command::new("sh")
        .args(["-c", &limited])
        .current_dir(root.path())
        .output()
        .unwrap();
    let said = String::from_utf8(made.stderr).unwrap();
    assert_eq!(made.status.code(), Some(1), "{said}");
    assert!(said.contains("no space is left"), "{said}");
    assert!(!said.contains("--resume"), "{said}");
}
