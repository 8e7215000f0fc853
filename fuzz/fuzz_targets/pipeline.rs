//! Parameters and an image → mesh.
//!
//! Ten bytes of parameters, then one that says what follows: an image file, or a small mask in
//! one of three notations, which spares the fuzzer checksums and compression. For covers and
//! interiors, a byte for each option follows.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use spinelift_mesh::contour::find_main_contour;
use spinelift_mesh::edges::Edges;
use spinelift_mesh::error::{Interrupted, TriangulationError};
use spinelift_mesh::image::AlphaSink;
use spinelift_mesh::mask::MaskBuilder;
use spinelift_mesh::outline::Outline;
use spinelift_mesh::parameters::{
    IslandMode, OPTIONS, OptionKind, OutlineMode, PARAMETERS, ParameterKind,
};
use spinelift_mesh::quality::Quality;
use spinelift_mesh::triangulation::{Bounds, Repair, area_bound, triangulate};
use spinelift_mesh::uv::texture_coordinates;
use spinelift_mesh::{ALGORITHM_VERSION, Limits, Mesh, MeshError, MeshParameters, Metadata};
use spinelift_mesh_fuzz::{check_mesh, check_rings, check_triangles};

const LIMITS: Limits = Limits {
    max_image_dimension: 128,
    max_image_pixels: 128 * 128,
    max_decoder_memory: 4 << 20,
    max_mesh_vertices: 500,
};

fuzz_target!(|input: &[u8]| {
    let Some((head, rest)) = input.split_first_chunk::<10>() else {
        return;
    };
    let mut given = parameters(&head[..9]);
    let (notation, rest) = match head[9] % 8 {
        notation @ 0..4 => (notation, rest),
        notation => {
            let Some((bytes, rest)) = rest.split_first_chunk::<8>() else {
                return;
            };
            set_options(bytes, &mut given);
            (notation - 4, rest)
        }
    };
    let (parameters, warnings) = MeshParameters::from_json(&given.into()).expect("in range");
    assert!(warnings.is_empty());
    match notation {
        0 => from_file(rest, &parameters),
        notation if parameters.outline.mode == OutlineMode::Cover => {
            if let Some(picture) = Picture::read(notation, rest) {
                from_file(&picture.file(), &parameters);
            }
        }
        notation => {
            if let Some(picture) = Picture::read(notation, rest) {
                from_picture(&picture, &parameters);
            }
        }
    }
});

/// One byte for each parameter, spread over its range.
fn parameters(bytes: &[u8]) -> Map<String, Value> {
    let share = |byte: u8| f64::from(byte) / 255.0;
    let values = PARAMETERS.iter().zip(bytes).map(|(spec, &byte)| {
        let value = spec.minimum + share(byte) * (spec.maximum - spec.minimum);
        let value = match spec.kind {
            ParameterKind::Integer => value.round().into(),
            ParameterKind::Number => value.min(spec.maximum).into(),
        };
        (spec.name.to_owned(), value)
    });
    values.collect()
}

/// A cover, with one byte for each option: 0 leaves it out.
fn set_options(bytes: &[u8; 8], given: &mut Map<String, Value>) {
    given.insert("outline".to_owned(), json!({ "mode": "cover" }));
    let options = OPTIONS
        .iter()
        .filter(|spec| !matches!(spec.name, "mode" | "deadline_ms"));
    for (spec, &byte) in options.zip(bytes).filter(|(_, byte)| **byte > 0) {
        let spread = |minimum: f64, maximum: f64| {
            minimum + f64::from(byte - 1) / 254.0 * (maximum - minimum)
        };
        let value = match spec.kind {
            OptionKind::Choice(words) => words[usize::from(byte) % words.len()].into(),
            OptionKind::Integer { minimum, maximum } => spread(minimum, maximum).round().into(),
            OptionKind::Number { minimum, maximum } => spread(minimum, maximum).min(maximum).into(),
        };
        spec.put(value, given);
    }
}

fn from_file(image: &[u8], parameters: &MeshParameters) {
    let run = || spinelift_mesh::generate(image, parameters, &LIMITS, &mut ());
    match run() {
        Ok(mesh) => {
            let Metadata { width, height, .. } = mesh.metadata;
            let is_cover = parameters.outline.mode == OutlineMode::Cover;
            let bound = match parameters.interior.is_wanted() {
                true => None,
                false => area_bound(parameters, width, height),
            };
            let wants_all = parameters.outline.islands != IslandMode::Largest;
            for part in mesh.parts() {
                check_mesh(part, bound);
                if is_cover && wants_all && parameters.alpha_threshold <= 1 {
                    assert_eq!(part.metadata.quality.pixels_cut, 0);
                }
            }
            assert_eq!(mesh.to_json(), run().expect("as before").to_json());
        }
        Err(error @ (MeshError::Parameters(_) | MeshError::Stopped { .. })) => {
            panic!("{error}")
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            assert!(error.details().is_object());
        }
    }
}

/// An alpha plane.
struct Picture {
    width: usize,
    height: usize,
    alpha: Vec<u8>,
}

impl Picture {
    const MAX_EXTENT: usize = 64;

    /// The first byte is the width; what follows is pixels, a byte or a bit each, or rectangles
    /// of five bytes.
    fn read(notation: u8, input: &[u8]) -> Option<Self> {
        let (&width, input) = input.split_first()?;
        let width = usize::from(width) % Self::MAX_EXTENT + 1;
        let pixels: Vec<u8> = match notation {
            1 => input.to_vec(),
            2 => {
                let bit = |byte: u8, at: u8| if byte >> at & 1 == 1 { 255 } else { 0 };
                let bits = |&byte: &u8| (0..8).map(move |at| bit(byte, at));
                input.iter().flat_map(bits).collect()
            }
            _ => return Self::of_rectangles(width, input),
        };
        let height = pixels.len().div_ceil(width).clamp(1, Self::MAX_EXTENT);
        let mut alpha = pixels;
        alpha.resize(width * height, 0);
        Some(Picture {
            width,
            height,
            alpha,
        })
    }

    fn of_rectangles(width: usize, input: &[u8]) -> Option<Self> {
        let (&height, input) = input.split_first()?;
        let height = usize::from(height) % Self::MAX_EXTENT + 1;
        let mut alpha = vec![0; width * height];
        for rectangle in input.chunks_exact(5) {
            let [left, top, across, down] = [0, 1, 2, 3].map(|at| usize::from(rectangle[at]));
            let columns = left.min(width)..(left + across).min(width);
            for y in top.min(height)..(top + down).min(height) {
                alpha[y * width..][columns.clone()].fill(rectangle[4]);
            }
        }
        Some(Picture {
            width,
            height,
            alpha,
        })
    }
}

impl Picture {
    /// The same as a PNG.
    fn file(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = png::Encoder::new(&mut bytes, self.width as u32, self.height as u32);
        encoder.set_color(png::ColorType::GrayscaleAlpha);
        encoder.set_compression(png::Compression::Fastest);
        let pixels: Vec<u8> = self.alpha.iter().flat_map(|&alpha| [0, alpha]).collect();
        let mut writer = encoder.write_header().expect("a size");
        writer.write_image_data(&pixels).expect("in memory");
        drop(writer);
        bytes
    }
}

fn from_picture(picture: &Picture, parameters: &MeshParameters) {
    let run = || mesh(picture, parameters).map(|mesh| mesh.to_json());
    assert_eq!(run(), run());
}

/// The steps of `generate` behind the decoder.
fn mesh(picture: &Picture, parameters: &MeshParameters) -> Option<Mesh> {
    let (width, height) = (picture.width as u32, picture.height as u32);
    let mut mask = MaskBuilder::new(width, height, parameters);
    let mut rows = picture.alpha.chunks_exact(picture.width);
    rows.try_for_each(|row| mask.row(row)).expect("not stopped");
    let mask = mask.finish();
    let contour = find_main_contour(&mask, parameters.min_contour_area, &mut ()).ok()?;
    assert!(contour.area >= parameters.min_contour_area);
    let mut outline = Outline::from_contour(&contour, parameters, width, height, &mut ())
        .expect("nobody stops it");
    let bounds = Bounds {
        max_area: area_bound(parameters, width, height),
        max_vertices: LIMITS.max_mesh_vertices,
    };
    let mut found = triangulate(&outline.vertices(), bounds, &mut ());
    if let Err(Interrupted::Failed(TriangulationError::Collinear { .. })) = found {
        outline = Outline::rectangle(width, height);
        found = triangulate(&outline.vertices(), bounds, &mut ());
    }
    let found = match found {
        Ok(found) => found,
        Err(Interrupted::Failed(TriangulationError::TooManyVertices { .. })) => return None,
        Err(other) => panic!("{other:?}"),
    };
    assert_ne!(found.repair, Some(Repair::ConvexHull));
    let boundary = check_triangles(&found.vertices, &found.triangles, bounds.max_area);
    check_rings(&found.rings, &boundary);
    let edges = Edges::of(&found.triangles, found.vertices.len());
    let mesh = Mesh {
        metadata: Metadata {
            width,
            height,
            vertex_count: found.vertices.len(),
            triangle_count: found.triangles.len(),
            parameters: *parameters,
            algorithm_version: ALGORITHM_VERSION,
            warnings: Vec::new(),
            quality: Quality::default(),
        },
        islands: Vec::new(),
        uvs: texture_coordinates(&found.vertices, width, height),
        boundary_indices: found.rings.concat(),
        vertices: found.vertices,
        triangles: found.triangles,
        boundary_edges: edges.boundary,
        internal_edges: edges.internal,
    };
    check_mesh(&mesh, bounds.max_area);
    Some(mesh)
}
