//! Ctrl-C and SIGTERM.

use crate::command::{json_file, run, spinelift_mesh};
use crate::sprites::{save, star};
use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::tempdir;

pub(crate) fn send(signal: &str, child: &Child) {
    let status = Command::new("kill")
        .args([signal, &child.id().to_string()])
        .status()
        .unwrap();
    assert!(status.success());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

#[test]
fn an_interrupted_batch_leaves_whole_files_and_can_be_resumed() {
    // Far more work than a signal takes to arrive.
    const IMAGES: usize = 3000;
    let root = tempdir().unwrap();
    save(root.path(), "art/0.png", &star(256, 11));
    for index in 1..IMAGES {
        let link = root.path().join(format!("art/{index}.png"));
        fs::hard_link(root.path().join("art/0.png"), link).unwrap();
    }
    let mut finished = BTreeSet::new();
    for (signal, code) in [("-INT", 130), ("-TERM", 143)] {
        let mut child = spinelift_mesh()
            .current_dir(root.path())
            .args([
                "batch",
                "art",
                "-o",
                "out",
                "--preview",
                "--resume",
                "--jobs",
                "2",
            ])
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        // Something has been done in this run.
        let done = lines
            .by_ref()
            .find(|line| line.as_ref().unwrap().contains("ok "));
        assert!(done.is_some());
        send(signal, &child);
        let rest: Vec<_> = lines.map(|line| line.unwrap()).collect();
        assert_eq!(child.wait().unwrap().code(), Some(code), "{rest:?}");

        let report = json_file(&root.path().join("out/report.json"));
        assert_eq!(report["interrupted"], true);
        let totals = |key: &str| report["totals"][key].as_u64().unwrap() as usize;
        assert!(totals("ok") > 0 && totals("not_run") > 0);
        assert_eq!(totals("ok") + totals("skipped") + totals("not_run"), IMAGES);
        for image in report["images"].as_array().unwrap() {
            if image["status"] == "ok" {
                let output = image["output"].as_str().unwrap().to_owned();
                assert!(
                    finished.insert(output),
                    "what was done before is not done again"
                );
            }
        }

        let mut meshes = 0;
        for path in files(&root.path().join("out")) {
            let name = path.file_name().unwrap().to_str().unwrap();
            if name.ends_with(".mesh.json") {
                json_file(&path);
                meshes += 1;
            } else if name.ends_with(".mesh.svg") {
                assert!(fs::read_to_string(&path).unwrap().ends_with("</svg>\n"));
            } else {
                assert_eq!(name, "report.json");
            }
        }
        // A worker may have written its file just when the signal came.
        assert!(
            meshes >= finished.len(),
            "{meshes} files, {} in the report",
            finished.len()
        );
    }
}

#[test]
fn waiting_for_an_image_ends_at_once() {
    let folder = tempdir().unwrap();
    // A shell has what it runs in the background ignore this signal, and so it has these tests.
    let mut child = Command::new("/usr/bin/env")
        .args(["--default-signal=INT", env!("CARGO_BIN_EXE_spinelift-mesh")])
        .args(["generate", "-", "-o", "mesh.json"])
        .current_dir(folder.path())
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    if cfg!(target_os = "linux") {
        let name = format!("/proc/{}/comm", child.id());
        let until = Instant::now() + Duration::from_secs(60);
        while fs::read_to_string(&name).unwrap() != "spinelift-mesh\n" {
            assert!(Instant::now() < until, "it does not start");
        }
    }
    send("-INT", &child);
    assert_eq!(child.wait().unwrap().signal(), Some(2));
    assert!(files(folder.path()).is_empty());
}

#[test]
fn an_interrupted_mesh_leaves_nothing() {
    let folder = tempdir().unwrap();
    save(folder.path(), "star.png", &star(2000, 30));
    let stopped = |delay_lines: &[&str]| {
        let mut args = vec!["generate", "star.png", "-o", "mesh.json"];
        args.extend(delay_lines);
        let child = spinelift_mesh()
            .current_dir(folder.path())
            .args(&args)
            .spawn()
            .unwrap();
        send("-INT", &child);
        child.wait_with_output().unwrap().status
    };
    // The signal comes before, during or after the work: whichever it is, no half file stays.
    for _ in 0..5 {
        let status = stopped(&[
            "--internal-vertex-density",
            "100",
            "--min-triangle-area",
            "1",
        ]);
        let ended = status.signal() == Some(2) || matches!(status.code(), Some(130 | 0));
        assert!(ended, "{status}");
        for path in files(folder.path()) {
            match path.file_name().unwrap().to_str().unwrap() {
                "star.png" => {}
                "mesh.json" => drop(json_file(&path)),
                other => panic!("{other} was left"),
            }
        }
    }
    run(
        folder.path(),
        &["generate", "star.png", "-q", "-o", "mesh.json"],
    )
    .exits(0);
}
