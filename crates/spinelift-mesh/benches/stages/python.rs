//! The reference's libraries, measured by `peers.py` on the same inputs.

use crate::images::Sprite;
use std::collections::HashMap;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Seconds by name; empty without a Python to run.
type Times = HashMap<String, f64>;

pub(crate) fn sprites(sprites: &[Sprite]) -> Times {
    let paths: Vec<_> = sprites
        .iter()
        .map(|sprite| sprite.path.to_string_lossy())
        .collect();
    ask(&serde_json::json!({ "task": "sprites", "paths": paths }))
}

pub(crate) fn large_image(name: &str, png: &[u8]) -> Times {
    if std::env::var_os("SPINELIFT_BENCH_PYTHON").is_none() {
        return Times::new();
    }
    let file: PathBuf =
        std::env::temp_dir().join(format!("spinelift-bench-{}.png", name.replace(' ', "-")));
    if std::fs::write(&file, png).is_err() {
        return Times::new();
    }
    let times = ask(&serde_json::json!({ "task": "large_image", "path": file.to_string_lossy() }));
    let _ = std::fs::remove_file(&file);
    times
}

pub(crate) fn polygons(polygons: &[Vec<[f64; 2]>]) -> Times {
    let area = crate::polygons::REFINED_AREA;
    ask(&serde_json::json!({ "task": "polygons", "polygons": polygons, "max_area": area }))
}

fn ask(question: &serde_json::Value) -> Times {
    let Some(python) = std::env::var_os("SPINELIFT_BENCH_PYTHON") else {
        return Times::new();
    };
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/stages/peers.py");
    let child = Command::new(python)
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let answer = child.and_then(|mut child| {
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(question.to_string().as_bytes())?;
        }
        child.wait_with_output()
    });
    answer
        .ok()
        .and_then(|output| serde_json::from_slice(&output.stdout).ok())
        .unwrap_or_default()
}
