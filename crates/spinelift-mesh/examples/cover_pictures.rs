//! The pictures of `docs/COVER.md`: ten sprites, each with the reference's outline and a cover.
//!
//! `cargo run -p spinelift-mesh --example cover_pictures > docs/images/cover.svg`

use spinelift_mesh::image::{AlphaSink, ImageHeader, decode_alpha};
use spinelift_mesh::parameters::Preset;
use spinelift_mesh::progress::Stopped;
use spinelift_mesh::{Limits, Mesh, MeshParameters, generate};
use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const SPRITES: [(&str, &str); 10] = [
    ("autumn tree", "assets/samples/autumn-tree.png"),
    ("crawfish", "assets/samples/crawfish.png"),
    ("horse", "assets/samples/horse.png"),
    ("orange fish", "assets/samples/orange-fish.png"),
    ("police officer", "assets/samples/police-officer.png"),
    ("rocket", "assets/samples/rocket.png"),
    ("sailboat", "assets/samples/sailboat.png"),
    ("teddy bear", "assets/samples/teddy-bear.png"),
    (
        "figure",
        "crates/spinelift-mesh/tests/images/shapes/figure-large.png",
    ),
    ("gear", "crates/spinelift-mesh/tests/images/shapes/gear.png"),
];

/// Sides of a picture and of what is around it.
const CELL: f64 = 200.0;
const MARGIN: f64 = 10.0;
const CAPTION: f64 = 40.0;

#[allow(clippy::print_stdout)]
fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let cover = Preset::by_name("full_coverage").ok_or("there is such a preset")?;
    let (width, height) = (4.0 * (CELL + MARGIN), 5.0 * (CELL + CAPTION));
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"{width}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    for (index, (name, path)) in SPRITES.iter().enumerate() {
        let image = fs::read(root.join(path))?;
        let limits = Limits::default();
        let header = ImageHeader::read(&image, &limits)?;
        let mut rows = Visible::default();
        decode_alpha(&image, &header, &limits, &mut rows)
            .map_err(|error| format!("{path}: {error:?}"))?;
        let longer = f64::from(header.width.max(header.height));
        let art = format!("art{index}");
        writeln!(
            svg,
            "<defs><path id=\"{art}\" shape-rendering=\"crispEdges\" d=\"{}\"/></defs>",
            rows.path
        )?;
        let row = index / 2;
        for (side, parameters) in [MeshParameters::DEFAULT, cover.parameters]
            .iter()
            .enumerate()
        {
            let mesh = generate(&image, parameters, &limits, &mut ())?;
            let column = 2 * (index % 2) + side;
            let x = column as f64 * (CELL + MARGIN) + MARGIN / 2.0;
            let y = row as f64 * (CELL + CAPTION) + MARGIN;
            let place = (x, y, CELL / longer);
            draw(&mut svg, &art, place, &mesh)?;
            let kind = ["reference", "cover"][side];
            caption(
                &mut svg,
                (x, y + CELL + 11.0),
                &format!("{name}, {kind}:"),
                &mesh,
            )?;
        }
    }
    println!("{svg}</svg>");
    Ok(())
}

/// What is outside of the mesh is red: the art is drawn in red, then in grey within the mesh.
fn draw(
    svg: &mut String,
    art: &str,
    (x, y, scale): (f64, f64, f64),
    mesh: &Mesh,
) -> std::fmt::Result {
    let outline = path(mesh, &mesh.boundary_indices);
    let clip = format!("{art}-{}", svg.len());
    writeln!(
        svg,
        "<g transform=\"translate({x} {y}) scale({scale:.4})\">"
    )?;
    writeln!(
        svg,
        "<clipPath id=\"{clip}\"><path d=\"{outline}\"/></clipPath>"
    )?;
    writeln!(svg, "<use href=\"#{art}\" fill=\"#e00030\"/>")?;
    writeln!(
        svg,
        "<g clip-path=\"url(#{clip})\"><use href=\"#{art}\" fill=\"#9aa4b2\"/></g>"
    )?;
    let triangles: String = mesh
        .triangles
        .iter()
        .map(|triangle| path(mesh, triangle))
        .collect();
    let thin = 0.7 / scale;
    for (lines, width) in [(&triangles, thin), (&outline, 2.0 * thin)] {
        writeln!(
            svg,
            "<path d=\"{lines}\" fill=\"none\" stroke=\"#1450c8\" stroke-width=\"{width:.3}\"/>"
        )?;
    }
    writeln!(svg, "</g>")
}

fn path(mesh: &Mesh, indices: &[u32]) -> String {
    let points = indices.iter().map(|&index| {
        let [x, y] = mesh.vertices[index as usize];
        format!("{x:.2} {y:.2}")
    });
    format!("M{}Z", points.collect::<Vec<_>>().join("L"))
}

fn caption(svg: &mut String, (x, y): (f64, f64), name: &str, mesh: &Mesh) -> std::fmt::Result {
    let quality = &mesh.metadata.quality;
    let lost = quality.pixels_lost as f64 / quality.visible_pixels as f64 * 100.0;
    let below = y + 13.0;
    writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\">{name} {} vertices,</text>\n\
         <text x=\"{x}\" y=\"{below}\">{lost:.1} % lost, overdraw {:.3}</text>",
        quality.vertices,
        quality.overdraw.unwrap_or_default(),
    )
}

/// Runs of visible pixels as rectangles of a path.
#[derive(Default)]
struct Visible {
    path: String,
    row: usize,
}

impl AlphaSink for Visible {
    fn row(&mut self, alpha: &[u8]) -> Result<(), Stopped> {
        let mut column = 0;
        for run in alpha.chunk_by(|a, b| (*a > 0) == (*b > 0)) {
            if run[0] > 0 {
                let (row, length) = (self.row, run.len());
                // Writing to a string cannot fail.
                let _ = write!(self.path, "M{column} {row}h{length}v1h-{length}z");
            }
            column += run.len();
        }
        self.row += 1;
        Ok(())
    }
}
