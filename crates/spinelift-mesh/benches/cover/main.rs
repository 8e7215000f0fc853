//! Figures of outlines that lose no pixel, and of interiors that bend.
//!
//! `cargo bench -p spinelift-mesh --bench cover` prints them for the sprites of `assets/samples`,
//! or of the folder that `SPINELIFT_BENCH_SPRITES` names; `-- outline`, `-- time` or `-- interior`
//! a part of them. Everything is measured on the finished mesh, by other means than the library's.

mod bending;
#[path = "../stages/images.rs"]
#[allow(dead_code)]
mod images;
mod sprite;

use serde_json::{Value, json};
use spinelift_mesh::{Limits, Mesh, MeshParameters, generate};
use sprite::Sprite;
use std::time::Instant;

fn main() {
    // `cargo test --benches` and `cargo nextest` only ask what is here.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let sprites: Vec<Sprite> = images::sprites()
        .into_iter()
        .filter_map(|file| Sprite::read(file.bytes))
        .collect();
    type Group = fn(&[Sprite]);
    let groups: [(&str, Group); 3] = [
        ("outline", outlines),
        ("time", times),
        ("interior", interiors),
    ];
    for (name, measure) in groups {
        if only.as_ref().is_none_or(|only| only == name) {
            measure(&sprites);
        }
    }
}

fn parameters(value: Value) -> MeshParameters {
    match MeshParameters::from_json(&value) {
        Ok((parameters, _)) => parameters,
        Err(errors) => panic!("{errors}"),
    }
}

fn mesh(sprite: &Sprite, parameters: &MeshParameters) -> Option<Mesh> {
    generate(&sprite.bytes, parameters, &Limits::default(), &mut ()).ok()
}

fn outlines(sprites: &[Sprite]) {
    line(&format!("Outlines of {} sprites", sprites.len()));
    line("| vertices | overdraw, median / mean | pixels lost | vertices used, mean |");
    line("|---|---|---|---|");
    let row = |name: &str, parameters: MeshParameters| {
        let (mut overdraw, mut vertices, mut lost) = (Vec::new(), Vec::new(), 0);
        for sprite in sprites {
            if let Some(mesh) = mesh(sprite, &parameters) {
                overdraw.push(sprite.overdraw(&mesh));
                vertices.push(mesh.vertices.len() as f64);
                lost += sprite.lost(&mesh);
            }
        }
        let (median, mean) = (quantile(&mut overdraw, 0.5), mean(&overdraw));
        let used = self::mean(&vertices);
        line(&format!(
            "| {name} | {median:.4} / {mean:.4} | {lost} | {used:.2} |"
        ));
    };
    row("reference", MeshParameters::default());
    for budget in [6, 8, 12, 16, 24, 32] {
        let outline = json!({ "mode": "cover", "max_vertices": budget });
        row(
            &budget.to_string(),
            parameters(json!({ "outline": outline })),
        );
    }
    for overdraw in [1.2, 1.1] {
        let outline = json!({ "mode": "cover", "max_overdraw": overdraw });
        row(
            &format!("overdraw {overdraw}"),
            parameters(json!({ "outline": outline })),
        );
    }
}

/// Both modes on each sprite in turn, the least of three rounds each.
fn times(sprites: &[Sprite]) {
    const ROUNDS: usize = 3;
    let modes = [
        ("reference", MeshParameters::default()),
        ("cover, 12 vertices", MeshParameters::COVER),
    ];
    let mut times = [Vec::new(), Vec::new()];
    for sprite in sprites {
        let mut least = [f64::INFINITY; 2];
        for _ in 0..ROUNDS {
            for (least, (_, parameters)) in least.iter_mut().zip(&modes) {
                let start = Instant::now();
                std::hint::black_box(mesh(sprite, parameters));
                *least = least.min(start.elapsed().as_secs_f64() * 1e3);
            }
        }
        times
            .iter_mut()
            .zip(least)
            .for_each(|(times, least)| times.push(least));
    }
    line("\n| image to mesh, ms | median | p95 | worst |");
    line("|---|---|---|---|");
    for ((name, _), times) in modes.iter().zip(&mut times) {
        let [median, p95, worst] = [0.5, 0.95, 1.0].map(|share| quantile(times, share));
        line(&format!("| {name} | {median:.2} | {p95:.2} | {worst:.2} |"));
    }
    for image in images::large() {
        let Some(sprite) = Sprite::read(image.png()) else {
            continue;
        };
        let time = |parameters: &MeshParameters| {
            let start = Instant::now();
            std::hint::black_box(mesh(&sprite, parameters));
            start.elapsed().as_secs_f64() * 1e3
        };
        let [reference, cover] = [0, 1].map(|mode| time(&modes[mode].1).min(time(&modes[mode].1)));
        line(&format!(
            "4096² {}: reference {reference:.0} ms, cover {cover:.0} ms",
            image.name
        ));
    }
}

/// Every fifth sprite with both sides of 48 pixels or more.
fn interiors(sprites: &[Sprite]) {
    let large: Vec<&Sprite> = sprites
        .iter()
        .filter(|sprite| sprite.width >= 48 && sprite.height >= 48)
        .step_by(if sprites.len() < 50 { 1 } else { 5 })
        .collect();
    line(&format!(
        "\nInteriors of {} sprites, outlines of 12 vertices",
        large.len()
    ));
    line("| interior | vertices | min angle, median | bend | wave |");
    line("|---|---|---|---|---|");
    let outline = json!({ "mode": "cover", "max_vertices": 12 });
    for (name, given) in [
        ("none", json!({ "outline": outline })),
        (
            "60 vertices",
            json!({ "outline": outline, "interior": { "vertices": 60 } }),
        ),
        (
            "60 vertices, 20°",
            json!({ "outline": outline, "interior": { "vertices": 60, "min_angle": 20 } }),
        ),
        (
            "60 vertices, 30°",
            json!({ "outline": outline, "interior": { "vertices": 60, "min_angle": 30 } }),
        ),
    ] {
        let parameters = parameters(given);
        let (mut angles, mut vertices) = (Vec::new(), Vec::new());
        let (mut bend, mut wave) = (Vec::new(), Vec::new());
        for sprite in &large {
            if let Some(mesh) = mesh(sprite, &parameters) {
                let errors = bending::errors(sprite, &mesh);
                bend.push(errors.bend);
                wave.push(errors.wave);
                angles.push(sprite::smallest_angle(&mesh));
                vertices.push(mesh.vertices.len() as f64);
            }
        }
        line(&format!(
            "| {name} | {:.1} | {:.1}° | {:.3} | {:.3} |",
            mean(&vertices),
            quantile(&mut angles, 0.5),
            mean(&bend),
            mean(&wave)
        ));
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let index = (share * values.len() as f64) as usize;
    values
        .get(index.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

#[allow(clippy::print_stdout)]
fn line(text: &str) {
    println!("{text}");
}
