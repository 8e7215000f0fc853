//! What each stage costs, side by side with its peers, in one run and on one thread.
//!
//! `cargo bench -p spinelift-mesh` prints a table of least times; `-- sprites`, `-- large` or
//! `-- triangulation` a part of it. The folder of sprites is
//! `assets/samples`, or `SPINELIFT_BENCH_SPRITES`. With `SPINELIFT_BENCH_PYTHON` naming a Python
//! that has the packages of `tools/reference/requirements.txt`, the reference's libraries are
//! measured on the same inputs, in the same run.

mod images;
mod polygons;
mod python;
mod table;

use spinelift_mesh::contour::find_main_contour;
use spinelift_mesh::image::{AlphaSink, ImageHeader, decode_alpha};
use spinelift_mesh::mask::{BinaryMask, MaskBuilder};
use spinelift_mesh::outline::Outline;
use spinelift_mesh::triangulation::{Bounds, triangulate};
use spinelift_mesh::{Limits, MeshParameters, generate};
use std::hint::black_box;
use table::Table;

fn main() {
    // `cargo test --benches` and `cargo nextest` only ask what is here.
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    let only = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let mut table = Table::default();
    type Group = fn(&mut Table);
    let groups: [(&str, Group); 3] = [
        ("sprites", sprites),
        ("large", large_images),
        ("triangulation", triangulation),
    ];
    for (name, measure) in groups {
        if only.as_ref().is_none_or(|only| only == name) {
            measure(&mut table);
        }
    }
    table.print();
}

fn sprites(table: &mut Table) {
    let sprites = images::sprites();
    let files: Vec<&[u8]> = sprites
        .iter()
        .map(|sprite| sprite.bytes.as_slice())
        .collect();
    let count = files.len();
    let name = |what: &str| format!("{what}, {count} sprites");
    table.measure(&name("decode"), || {
        files.iter().for_each(|file| decode(file, &mut Nothing));
    });
    let peers = python::sprites(&sprites);
    table.peer("OpenCV", peers.get("decode_opencv"));
    table.peer("Pillow", peers.get("decode_pillow"));
    for (what, density) in [("all, default", 0), ("all, density 15", 15)] {
        let parameters = MeshParameters {
            internal_vertex_density: density,
            ..Default::default()
        };
        table.measure(&name(what), || {
            for file in &files {
                black_box(generate(file, &parameters, &Limits::default(), &mut ()).ok());
            }
        });
        let key = if density == 0 {
            "all_default"
        } else {
            "all_density"
        };
        table.peer("reference", peers.get(key));
    }
}

fn large_images(table: &mut Table) {
    for image in images::large() {
        let png = image.png();
        let peers = python::large_image(&image.name, &png);
        if image.name == "blob" {
            table.measure("decode, 4096² blob", || decode(&png, &mut Nothing));
            table.peer("OpenCV", peers.get("decode_opencv"));
            table.peer("Pillow", peers.get("decode_pillow"));
            for kernel in [5, 21] {
                let parameters = MeshParameters {
                    blur_kernel_size: kernel,
                    ..Default::default()
                };
                let name = format!("blur k = {kernel}, 4096² blob");
                table.measure(&name, || mask(&image, &parameters));
                table.peer("OpenCV", peers.get(&format!("blur_{kernel}")));
            }
        }
        table.measure(&format!("mask + contour, 4096² {}", image.name), || {
            let mask = mask(&image, &MeshParameters::default());
            find_main_contour(&mask, 1.0, &mut ()).ok()
        });
        table.peer("OpenCV", peers.get("contour"));
        let mask = mask(&image, &MeshParameters::default());
        if let Ok(contour) = find_main_contour(&mask, 1.0, &mut ()) {
            // The finest that the parameters allow.
            let parameters = MeshParameters {
                detail_factor: 0.05,
                ..Default::default()
            };
            let points = contour.points.len();
            table.measure(
                &format!("simplify {points} points of {}", image.name),
                || Outline::from_contour(&contour, &parameters, 4096, 4096, &mut ()),
            );
            table.peer("OpenCV", peers.get("simplify"));
        }
    }
}

fn triangulation(table: &mut Table) {
    let unlimited = Bounds {
        max_area: None,
        max_vertices: usize::MAX,
    };
    for count in [8, 128, 1000, 5000] {
        let polygons = polygons::star_shaped(count, 64);
        let peers = python::polygons(&polygons);
        table.measure_each(&format!("triangulate n = {count}"), polygons.len(), || {
            for polygon in &polygons {
                black_box(triangulate(polygon, unlimited, &mut ()).ok());
            }
        });
        table.peer(
            "spade",
            Some(&polygons::time_spade(&polygons, table.rounds())),
        );
        table.peer("Triangle", peers.get("triangulate"));
    }
    let polygons = polygons::star_shaped(40, 64);
    let peers = python::polygons(&polygons);
    let max_area = polygons::REFINED_AREA;
    let refined = Bounds {
        max_area: Some(max_area),
        ..unlimited
    };
    table.measure_each("refine n = 40 to 400 px²", polygons.len(), || {
        for polygon in &polygons {
            black_box(triangulate(polygon, refined, &mut ()).ok());
        }
    });
    table.peer(
        "spade",
        Some(&polygons::time_spade_refinement(&polygons, table.rounds())),
    );
    table.peer("Triangle", peers.get("refine"));
}

struct Nothing;

impl AlphaSink for Nothing {
    fn row(&mut self, alpha: &[u8]) -> Result<(), spinelift_mesh::progress::Stopped> {
        black_box(alpha);
        Ok(())
    }
}

fn decode(file: &[u8], sink: &mut dyn AlphaSink) {
    let limits = Limits::default();
    if let Ok(header) = ImageHeader::read(file, &limits) {
        black_box(decode_alpha(file, &header, &limits, sink).ok());
    }
}

fn mask(image: &images::Alpha, parameters: &MeshParameters) -> BinaryMask {
    let mut mask = MaskBuilder::new(image.width as u32, image.height as u32, parameters);
    for row in image.plane.chunks_exact(image.width) {
        let _ = mask.row(row);
    }
    mask.finish()
}
