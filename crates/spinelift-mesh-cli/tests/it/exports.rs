//! Formats of other programs. What is in them is tested beside the library.

use crate::command::{Run, json_file, run, run_with_input};
use crate::sprites::{save, star, transparent};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::{TempDir, tempdir};

const FORMATS: [(&str, &str); 7] = [
    ("spine", "spine.json"),
    ("spine-3.8", "spine-3.8.json"),
    ("svg", "svg"),
    ("png", "mesh.png"),
    ("obj", "obj"),
    ("gltf", "glb"),
    ("godot", "tscn"),
];

fn with_star() -> TempDir {
    let folder = tempdir().unwrap();
    save(folder.path(), "star.png", &star(64, 5));
    folder
}

fn with_tree() -> TempDir {
    let root = tempdir().unwrap();
    save(root.path(), "art/hero/head.png", &star(64, 3));
    save(root.path(), "art/hero/hand.png", &star(48, 4));
    save(root.path(), "art/tree.png", &star(80, 7));
    save(root.path(), "art/tree.webp", &star(80, 8));
    root
}

fn generate(folder: &TempDir, args: &[&str]) -> Run {
    let args: Vec<_> = ["generate", "-q"].iter().chain(args).copied().collect();
    run(folder.path(), &args)
}

fn batch(root: &TempDir, args: &[&str]) -> Run {
    let args: Vec<_> = ["batch", "art", "-o", "out"]
        .iter()
        .chain(args)
        .copied()
        .collect();
    run(root.path(), &args)
}

fn starts(bytes: &[u8], with: &[u8]) -> bool {
    bytes.starts_with(with)
}

#[test]
fn each_format_is_written() {
    let folder = with_star();
    let written = |format: &str| {
        generate(&folder, &["star.png", "--format", format])
            .exits(0)
            .stdout
    };
    let json = generate(&folder, &["star.png"]).exits(0).stdout;
    assert_eq!(written("json"), json);
    for (format, version) in [("spine", "4.2"), ("spine-3.8", "3.8")] {
        let skeleton: Value = serde_json::from_slice(&written(format)).unwrap();
        let said = skeleton["skeleton"]["spine"].as_str().unwrap();
        assert!(said.starts_with(version), "{said}");
        assert_eq!(skeleton["slots"][0]["name"], "star");
    }
    assert!(starts(&written("svg"), b"<svg"));
    assert!(starts(&written("png"), b"\x89PNG"));
    assert!(starts(&written("obj"), b"mtllib star.png.mtl\n"));
    assert!(starts(&written("gltf"), b"glTF"));
    assert!(starts(&written("godot"), b"[gd_scene"));
    assert!(!folder.path().join("star.png.mtl").exists());
    generate(&folder, &["star.png", "--format", "fbx"])
        .exits(2)
        .says(&["spine-3.8", "gltf"]);
}

#[test]
fn an_obj_has_its_material_beside_it() {
    let folder = with_star();
    save(folder.path(), "out/x", b"");
    run(
        folder.path(),
        &["generate", "star.png", "-f", "obj", "-o", "out/mesh.obj"],
    )
    .exits(0)
    .says(&["wrote out/mesh.obj", "wrote out/star.png.mtl"]);
    let material = fs::read_to_string(folder.path().join("out/star.png.mtl")).unwrap();
    assert!(material.contains("map_Kd star.png"), "{material}");
}

#[test]
fn materials_of_like_names_stay_apart() {
    let root = tempdir().unwrap();
    let images = ["a b.png", "a_b.png", "a=20b.png"];
    for image in images {
        save(root.path(), &format!("art/{image}"), &star(48, 4));
    }
    batch(&root, &["-f", "obj"]).exits(0);
    for image in images {
        let read = |file: &str| fs::read_to_string(root.path().join("out").join(file)).unwrap();
        let obj = read(&format!("{image}.obj"));
        let material = obj.lines().next().unwrap().strip_prefix("mtllib ").unwrap();
        assert_eq!(material.split_whitespace().count(), 1, "{material}");
        let material = read(material);
        assert!(
            material.contains(&format!("map_Kd {image}\n")),
            "{material}"
        );
    }
}

#[test]
fn a_file_that_ends_like_another_format_is_warned_of() {
    let folder = with_star();
    let written = |file: &str, format: &str| {
        let args = ["generate", "star.png", "-f", format, "-o", file];
        run(folder.path(), &args).exits(0)
    };
    written("x.gltf", "gltf").says(&["warning", "x.gltf", "end in .glb"]);
    written("x.png", "json").says(&["warning", "x.png", "end in .json"]);
    written("x.SKEL", "spine").says(&["warning", "x.SKEL", "end in .json"]);
    for (file, format) in [("x.GLB", "gltf"), ("x.spine", "spine"), ("x", "json")] {
        let run = written(file, format);
        assert!(!run.stderr.contains("warning"), "{}", run.stderr);
    }
    run(folder.path(), &["generate", "star.png", "-f", "obj"])
        .exits(0)
        .says(&["warning", "star.png.mtl", "-o mesh.obj"]);
}

#[test]
fn an_image_without_a_name_makes_a_mesh() {
    let folder = with_star();
    let run = run_with_input(
        folder.path(),
        &["generate", "-q", "-", "--format", "spine"],
        &star(64, 5),
    )
    .exits(0);
    assert_eq!(run.json()["slots"][0]["name"], "mesh");
}

#[test]
fn a_batch_writes_formats_and_makes_what_is_missing() {
    let root = with_tree();
    let mut all = Vec::new();
    for (format, _) in FORMATS {
        all.extend(["--format", format]);
    }
    batch(&root, &all).exits(0);
    let made = |extension: &str| {
        let path = root.path().join(format!("out/hero/head.png.{extension}"));
        path.is_file()
    };
    for (_, extension) in FORMATS {
        assert!(made(extension), "{extension}");
    }
    // Each object has its own material.
    for image in ["tree.png", "tree.webp"] {
        let read = |extension: &str| {
            let path = root.path().join(format!("out/{image}.{extension}"));
            fs::read_to_string(path).unwrap()
        };
        assert!(read("obj").starts_with(&format!("mtllib {image}.mtl\n")));
        assert!(read("mtl").contains(&format!("map_Kd {image}\n")));
    }
    // The same as one by one.
    let one = run(
        root.path(),
        &["generate", "-q", "art/tree.png", "-f", "gltf"],
    );
    let result = fs::read(root.path().join("out/tree.png.glb")).unwrap();
    assert_eq!(one.stdout, result);

    all.push("--resume");
    batch(&root, &all).exits(0).says(&["0 done, 4 skipped"]);
    for extension in ["glb", "mtl"] {
        fs::remove_file(root.path().join(format!("out/hero/head.png.{extension}"))).unwrap();
        batch(&root, &all).exits(0).says(&["1 done, 3 skipped"]);
        assert!(made(extension));
    }
}

#[test]
fn drawings_beside_images_are_no_images() {
    let root = with_tree();
    let args = ["batch", "art", "-o", "art", "--format", "png"];
    for _ in 0..2 {
        run(root.path(), &args).exits(0).says(&["4 images: 4 done"]);
    }
}

#[test]
fn a_batch_is_one_skeleton_with_an_atlas() {
    let root = with_tree();
    save(root.path(), "art/clear.png", &transparent(16));
    let args = [
        "--skeleton",
        "--atlas-size",
        "128",
        "--spine-version",
        "3.8",
    ];
    let run = batch(&root, &args).exits(1);
    assert!(run.stderr.contains("4 done, 1 failed"), "{}", run.stderr);
    let out = root.path().join("out");
    let skeleton = json_file(&out.join("skeleton.json"));
    assert_eq!(skeleton["skeleton"]["spine"], "3.8.99");
    let slots: Vec<_> = skeleton["slots"]
        .as_array()
        .unwrap()
        .iter()
        .map(|slot| &slot["name"])
        .collect();
    assert_eq!(slots, ["hero_hand", "hero_head", "tree.png", "tree.webp"]);
    let atlas = fs::read_to_string(out.join("skeleton.atlas")).unwrap();
    let pages: Vec<_> = atlas
        .lines()
        .filter(|line| line.starts_with("skeleton"))
        .collect();
    assert!(pages.len() > 1, "{atlas}");
    for page in pages {
        let bytes = fs::read(out.join(page)).unwrap();
        assert!(starts(&bytes, b"\x89PNG"), "{page}");
    }
    for region in ["hero/hand", "hero/head", "tree.png", "tree.webp"] {
        assert!(atlas.lines().any(|line| line == region), "{atlas}");
    }
    // However many work on it, it is the same.
    let alone = ["batch", "art", "-o", "alone", "-j", "1"];
    let alone: Vec<_> = alone.iter().chain(&args).copied().collect();
    self::run(root.path(), &alone).exits(1);
    for file in ["skeleton.json", "skeleton.atlas", "skeleton.png"] {
        let other = fs::read(root.path().join("alone").join(file)).unwrap();
        assert!(fs::read(out.join(file)).unwrap() == other, "{file}");
    }
    // What was made before is part of it too.
    fs::remove_file(root.path().join("art/clear.png")).unwrap();
    let again = ["--skeleton=hero", "--resume", "--atlas-powers-of-two"];
    batch(&root, &again)
        .exits(0)
        .says(&["4 skipped", "wrote out/hero.json", "wrote out/hero.png"]);
    let hero = json_file(&out.join("hero.json"));
    assert_eq!(hero["slots"].as_array().unwrap().len(), 4);
}

#[test]
fn a_skeleton_that_cannot_be_is_refused() {
    let root = with_tree();
    batch(&root, &["--skeleton=report"])
        .exits(2)
        .says(&["--skeleton=hero"]);
    batch(&root, &["--skeleton=a/b"])
        .exits(2)
        .says(&["--skeleton=hero"]);
    batch(&root, &["--atlas-size", "64"])
        .exits(2)
        .says(&["--skeleton"]);
    batch(&root, &["--skeleton", "--atlas-size", "16"])
        .exits(1)
        .says(&["error[EXPORT_FAILED]", "hero/hand", "--atlas-size"]);
    let rounded = ["--skeleton", "--atlas-size", "63", "--atlas-powers-of-two"];
    batch(&root, &rounded)
        .exits(1)
        .says(&["rounds --atlas-size 63 down to 32: allow for 64"]);
    batch(&root, &["--skeleton", "hero"])
        .exits(2)
        .says(&["there is no file hero", "--skeleton=hero"]);
    run(root.path(), &["batch", "art", "-o", "art", "--skeleton"])
        .exits(2)
        .says(&["another folder"]);
    assert!(!Path::new(&root.path().join("art/report.json")).exists());
}

#[test]
fn scenes_of_a_tree_name_images_by_their_folders() {
    let root = with_tree();
    batch(&root, &["-f", "godot"]).exits(0);
    let scene = |path: &str| fs::read_to_string(root.path().join("out").join(path)).unwrap();
    assert!(scene("hero/head.png.tscn").contains("path=\"res://hero/head.png\""));
    assert!(scene("tree.png.tscn").contains("path=\"res://tree.png\""));
    // One image alone says nothing of a project.
    let alone = generate(&root, &["art/hero/head.png", "-f", "godot"]).exits(0);
    let alone = String::from_utf8(alone.stdout).unwrap();
    assert!(alone.contains("path=\"res://head.png\""), "{alone}");
}

#[test]
fn a_skeleton_takes_the_place_of_no_result_and_no_image() {
    let root = with_tree();
    for args in [
        &["--skeleton=tree.png.mesh"][..],
        &["--skeleton=TREE.png.mesh", "-f", "obj"],
        &["--skeleton=tree.png.spine", "-f", "spine"],
        &["--skeleton=tree.png.mesh", "-f", "png"],
    ] {
        batch(&root, args)
            .exits(2)
            .says(&["out/tree.png.", "art/tree.png", "--skeleton=hero"]);
    }
    assert!(!root.path().join("out").exists());
    batch(&root, &["--skeleton=tree.png.spine"]).exits(0);
    let before = fs::read(root.path().join("art/tree.png")).unwrap();
    let args = ["batch", "art/tree.png", "-o", "art", "--skeleton=tree"];
    run(root.path(), &args)
        .exits(2)
        .says(&["the image art/tree.png"]);
    assert_eq!(fs::read(root.path().join("art/tree.png")).unwrap(), before);
}

#[test]
fn pages_of_before_are_removed_and_nothing_else() {
    let root = with_tree();
    batch(&root, &["--skeleton", "--atlas-size", "96"]).exits(0);
    let pages = || {
        let atlas = fs::read_to_string(root.path().join("out/skeleton.atlas")).unwrap();
        atlas
            .lines()
            .filter(|line| line.ends_with("png") && line.starts_with("skel"))
            .count()
    };
    let page = |number: usize| root.path().join(format!("out/skeleton-{number}.png"));
    let last = pages();
    assert!(last > 1 && page(last).exists());
    // No atlas names this one.
    save(root.path(), "out/skeleton-40.png", b"precious");
    batch(&root, &["--skeleton"]).exits(0);
    assert_eq!(pages(), 1);
    assert!(root.path().join("out/skeleton.png").exists());
    for number in 2..=last {
        assert!(!page(number).exists(), "{number}");
    }
    assert!(page(40).exists());
}

#[cfg(target_os = "linux")]
mod full_disk {
    use super::*;

    const FILES: [&str; 3] = ["skeleton.png", "skeleton.atlas", "skeleton.json"];

    /// Room for a file as large as this one, but for none twice as large: blocks are of 512 or of
    /// 1024 bytes.
    fn room(root: &TempDir, file: &str) -> usize {
        let bytes = fs::metadata(root.path().join(file)).unwrap().len();
        bytes.next_multiple_of(1024) as usize
    }

    /// A batch that can write no file larger than this, or than twice as much.
    fn limited(root: &TempDir, bytes: usize, args: &[&str]) -> String {
        let program = env!("CARGO_BIN_EXE_spinelift-mesh");
        let limited = format!(
            "ulimit -f {}; exec '{program}' batch art -o out -j 1 {}",
            bytes / 512,
            args.join(" ")
        );
        let made = std::process::Command::new("sh")
            .args(["-c", &limited])
            .current_dir(root.path())
            .output()
            .unwrap();
        let said = String::from_utf8(made.stderr).unwrap();
        assert_eq!(made.status.code(), Some(1), "{said}");
        assert!(said.contains("no space is left"), "{said}");
        said
    }

    fn read(root: &TempDir) -> [Vec<u8>; 3] {
        FILES.map(|file| fs::read(root.path().join("out").join(file)).unwrap())
    }

    /// There is room for the pages, and none for what refers to them.
    #[test]
    fn a_skeleton_that_does_not_fit_leaves_the_one_of_before() {
        let root = with_tree();
        let dense = ["--internal-vertex-density", "100", "--skeleton"];
        batch(&root, &dense).exits(0);
        let before = read(&root);
        let most = room(&root, "out/skeleton.png").max(room(&root, "out/report.json"));
        assert!(2 * most < before[2].len());
        let again = [&dense[..], &["--resume", "--atlas-padding", "9"]].concat();
        let said = limited(&root, most, &again);
        assert!(said.contains("skeleton.json: no space is left"), "{said}");
        assert!(read(&root) == before);
        let left = fs::read_dir(root.path().join("out")).unwrap();
        let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        assert_eq!(names.filter(|name| name.ends_with(".tmp")).count(), 0);
    }

    #[test]
    fn a_batch_that_it_ends_leaves_the_skeleton_of_before() {
        let root = tempdir().unwrap();
        save(root.path(), "art/a.png", &star(32, 3));
        save(root.path(), "art/x.png", &star(512, 7));
        let args = ["--interior-spacing", "8", "--skeleton"];
        batch(&root, &args).exits(0);
        let before = read(&root);
        let largest = root.path().join("out/x.png.mesh.json");
        // A skeleton of the first image alone would fit.
        let most = room(&root, "out/report.json").max(2 * room(&root, "out/a.png.mesh.json"));
        let size = fs::metadata(largest).unwrap().len();
        assert!(2 * most < size as usize, "{most} {size}");
        let said = limited(&root, most, &args);
        assert!(said.contains("x.png.mesh.json: no space is left"), "{said}");
        assert!(read(&root) == before);
    }
}
