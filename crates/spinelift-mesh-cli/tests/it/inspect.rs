//! `spinelift-mesh inspect`.

use crate::command::{Run, json_file, run, run_with_input};
use crate::sprites::{save, star};
use serde_json::{Value, json};
use std::fs;
use tempfile::{TempDir, tempdir};

fn folder() -> TempDir {
    let folder = tempdir().unwrap();
    save(folder.path(), "art/star.png", &star(64, 5));
    save(folder.path(), "art/moon.png", &star(48, 3));
    for (name, format) in [("mesh.json", "json"), ("spine.json", "spine-3.8")] {
        let args = ["generate", "-q", "art/star.png", "-o", name, "-f", format];
        run(folder.path(), &args).exits(0);
    }
    run(
        folder.path(),
        &["batch", "-q", "art", "-o", "out", "--skeleton"],
    )
    .exits(0);
    folder
}

fn inspect(folder: &TempDir, args: &[&str]) -> Run {
    let args: Vec<_> = ["inspect"].iter().chain(args).copied().collect();
    run(folder.path(), &args)
}

#[test]
fn a_mesh_of_ours_is_measured_as_it_says() {
    let folder = folder();
    let made = json_file(&folder.path().join("mesh.json"));
    let found = inspect(&folder, &["mesh.json", "art/star.png", "--json"])
        .exits(0)
        .json();
    assert_eq!(found[0]["quality"], made["metadata"]["quality"]);
    assert_eq!(found[0]["width"], 64);
    assert_eq!(found[0].get("attachment"), None);
    let mesh = fs::read(folder.path().join("mesh.json")).unwrap();
    let piped = run_with_input(
        folder.path(),
        &["inspect", "-", "art/star.png", "--json"],
        &mesh,
    );
    assert_eq!(piped.exits(0).json(), found);
}

#[test]
fn a_table_is_for_people() {
    let folder = folder();
    let run = inspect(&folder, &["mesh.json", "art/star.png"]).exits(0);
    let text = String::from_utf8(run.stdout).unwrap();
    let found = inspect(&folder, &["mesh.json", "art/star.png", "--json"]).json();
    let quality = &found[0]["quality"];
    for (row, value) in [
        ("vertices", &quality["vertices"]),
        ("visible pixels", &quality["visible_pixels"]),
        ("lost, by their centres", &quality["pixels_lost"]),
    ] {
        let line = text
            .lines()
            .find(|line| line.trim_start().starts_with(row))
            .unwrap();
        assert!(line.contains(&value.to_string()), "{line} {value}");
    }
    assert!(text.starts_with("art/star.png, 64 × 64 pixels\n"), "{text}");
}

#[test]
fn meshes_of_a_skeleton_are_found_by_their_images() {
    let folder = folder();
    let names = |found: &Value| -> Vec<String> {
        let found = found.as_array().unwrap().iter();
        found
            .map(|report| report["attachment"]["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let skeleton = "out/skeleton.json";
    let all = inspect(&folder, &[skeleton, "art", "--json"])
        .exits(0)
        .json();
    assert_eq!(names(&all), ["moon", "star"]);
    let star = inspect(&folder, &[skeleton, "art/star.png", "--json"])
        .exits(0)
        .json();
    assert_eq!(names(&star), ["star"]);
    assert_eq!(star[0]["quality"], all[1]["quality"]);
    let named = [
        "spine.json",
        "art/star.png",
        "--attachment",
        "star",
        "--json",
    ];
    let one = inspect(&folder, &named).exits(0).json();
    assert_eq!(
        one[0]["quality"]["visible_pixels"],
        star[0]["quality"]["visible_pixels"]
    );
    let text = inspect(&folder, &[skeleton, "art"]).exits(0).stdout;
    let text = String::from_utf8(text).unwrap();
    assert!(
        text.starts_with("moon (slot moon, skin default)\n"),
        "{text}"
    );
}

/// As `batch` names them: with the extension where two images differ by that alone.
#[test]
fn all_that_a_batch_packs_is_found() {
    let folder = folder();
    save(folder.path(), "all/UP.PNG", &star(64, 3));
    save(folder.path(), "all/deep/rocket.png", &star(64, 4));
    save(folder.path(), "all/deep/rocket.webp", &star(48, 5));
    let args = ["batch", "-q", "all", "-o", "made", "--skeleton"];
    run(folder.path(), &args).exits(0);
    let skeleton = "made/skeleton.json";
    let images = |found: &Value| -> Vec<String> {
        let found = found.as_array().unwrap().iter();
        found
            .map(|report| report["image"].as_str().unwrap().to_owned())
            .collect()
    };
    let all = inspect(&folder, &[skeleton, "all", "--json"])
        .exits(0)
        .json();
    let expected = ["all/UP.PNG", "all/deep/rocket.png", "all/deep/rocket.webp"];
    assert_eq!(images(&all), expected);
    for image in expected {
        let one = inspect(&folder, &[skeleton, image, "--json"])
            .exits(0)
            .json();
        assert_eq!(images(&one), [image]);
    }
}

#[test]
fn a_missing_image_keeps_no_other_mesh_from_being_measured() {
    let folder = folder();
    fs::remove_file(folder.path().join("art/moon.png")).unwrap();
    let found = inspect(&folder, &["out/skeleton.json", "art", "--json"])
        .exits(1)
        .says(&[
            "error[INPUT_NOT_READABLE]",
            "art/moon.png for the mesh moon",
        ])
        .json();
    assert_eq!(found.as_array().unwrap().len(), 1);
    assert_eq!(found[0]["attachment"]["name"], "star");
    // Nor does one that is another.
    save(folder.path(), "art/moon.png", &star(32, 3));
    inspect(&folder, &["out/skeleton.json", "art", "--json"])
        .exits(1)
        .says(&["error[OTHER_IMAGE]", "art/moon.png has 32 x 32"]);
}

/// Its vertices are measured where they were before seven decimals were kept of them.
#[test]
fn a_cover_in_a_skeleton_loses_nothing() {
    let folder = folder();
    let cover = ["--outline", "cover", "--max-vertices", "9", "--skeleton"];
    let args = [&["batch", "-q", "art", "-o", "cover"], &cover[..]].concat();
    run(folder.path(), &args).exits(0);
    let found = inspect(&folder, &["cover/skeleton.json", "art", "--json"])
        .exits(0)
        .json();
    for (report, name) in found.as_array().unwrap().iter().zip(["moon", "star"]) {
        let made = json_file(&folder.path().join(format!("cover/{name}.png.mesh.json")));
        for count in ["pixels_lost", "pixels_cut", "visible_pixels"] {
            let expected = &made["metadata"]["quality"][count];
            assert_eq!(report["quality"][count], *expected, "{name} {count}");
        }
        assert_eq!(report["quality"]["pixels_lost"], 0);
    }
}

/// As another program writes it: weights, a link, and numbers of a skeleton that was scaled.
#[test]
fn weights_and_links_of_a_skeleton_are_no_matter() {
    let folder = folder();
    let skeleton = json!({ "skeleton": { "spine": "3.8.99" }, "skins": [
        { "name": "default", "attachments": { "body": { "body": {
            "type": "mesh", "path": "star", "width": 64.4, "height": 63.7, "hull": 4,
            "uvs": [0, 0, 1, 0, 1, 0.5, 0, 0.5], "triangles": [0, 1, 2, 2, 3, 0],
            "vertices": [1, 0, 4, 2, 1, 1, 0, 4, 2, 1, 1, 0, 4, 2, 1, 1, 0, 4, 2, 1],
        } } } },
        { "name": "night", "attachments": { "body": { "body": {
            "type": "linkedmesh", "path": "moon", "parent": "body",
        } } } },
    ]});
    save(folder.path(), "other.json", skeleton.to_string().as_bytes());
    let found = inspect(&folder, &["other.json", "art", "--json"])
        .exits(0)
        .json();
    let reports: Vec<_> = found.as_array().unwrap().iter().collect();
    for (report, (skin, image, side)) in reports.iter().zip([
        ("default", "art/star.png", 64.0),
        ("night", "art/moon.png", 48.0),
    ]) {
        assert_eq!(report["attachment"]["skin"], skin);
        assert_eq!(report["image"], image);
        assert_eq!(report["quality"]["area"], side * side / 2.0);
    }
    assert_eq!(reports.len(), 2);
}

/// A square that covers the upper half of a star, as another program might write it.
#[test]
fn meshes_of_others_are_measured() {
    let folder = folder();
    let mesh = json!({
        "vertices": [0, 0, 64, 0, 64, 32, 0, 32],
        "triangles": [0, 1, 2, 2, 3, 0],
    });
    save(folder.path(), "other.json", mesh.to_string().as_bytes());
    let found = inspect(&folder, &["other.json", "art/star.png", "--json"])
        .exits(0)
        .json();
    let quality = &found[0]["quality"];
    assert_eq!(
        (&quality["area"], &quality["triangles"]),
        (&json!(2048.0), &json!(2))
    );
    let coverage = quality["coverage"].as_f64().unwrap();
    assert!((0.3..0.7).contains(&coverage), "{coverage}");
}

#[test]
fn what_cannot_be_inspected_is_told() {
    let folder = folder();
    save(folder.path(), "list.json", b"[]");
    save(folder.path(), "empty.json", br#"{"skins": []}"#);
    save(
        folder.path(),
        "wrong.json",
        br#"{"vertices": [[0, 0]], "triangles": [[0, 1, 2]]}"#,
    );
    let cases: [(&[&str], i32, &[&str]); 12] = [
        (&["none.json", "art/star.png"], 1, &["none.json", "hint: "]),
        (
            &["list.json", "art/star.png"],
            1,
            &["error[MESH_NOT_READABLE]", "neither a mesh"],
        ),
        (&["art/star.png", "art/star.png"], 1, &["not JSON"]),
        (
            &["wrong.json", "art/star.png"],
            1,
            &["names vertex 1, and there are 1"],
        ),
        (&["empty.json", "art"], 1, &["error[NO_SUCH_MESH]"]),
        (
            &["mesh.json", "art/moon.png"],
            1,
            &["error[OTHER_IMAGE]", "64 x 64", "48 x 48"],
        ),
        (
            &["spine.json", "art/moon.png", "--attachment", "star"],
            1,
            &["error[OTHER_IMAGE]", "64 x 64", "48 x 48"],
        ),
        (
            &["out/skeleton.json", "art/star.png", "--attachment", "sun"],
            1,
            &["called sun", "moon, star"],
        ),
        (
            &["out/skeleton.json", "out"],
            1,
            &["there is no image out/moon.png"],
        ),
        (
            &["mesh.json", "art"],
            1,
            &["art is a folder", "name the image that it was made of"],
        ),
        (
            &["art", "art/star.png"],
            1,
            &["art is a folder", "the JSON of a mesh"],
        ),
        (
            &["mesh.json", "art/star.png", "--attachment", "x"],
            2,
            &["no attachments"],
        ),
    ];
    for (args, code, said) in cases {
        inspect(&folder, args)
            .exits(code)
            .says(said)
            .prints_nothing();
    }
}
