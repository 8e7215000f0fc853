//! Any closed outline → triangles.
//!
//! A byte for the notation of the coordinates, one for the bound on the triangles' area, then
//! the points.
#![no_main]

use libfuzzer_sys::fuzz_target;
use spinelift_mesh::error::{Interrupted, TriangulationError};
use spinelift_mesh::triangulation::{Bounds, Repair, triangulate};
use spinelift_mesh_fuzz::{bounding_area, check_rings, check_triangles};

/// Few, for speed: what goes wrong goes wrong with few.
const MAX_POINTS: usize = 40;
const MAX_VERTICES: usize = 500;

fuzz_target!(|input: &[u8]| {
    let Some((&[notation, area], rest)) = input.split_first_chunk() else {
        return;
    };
    let mut outline = points(notation % 5, rest);
    outline.truncate(MAX_POINTS);
    // Points a few units in the last place apart, as those of any bits may be, leave no room for
    // vertices between them.
    let is_coarse = notation % 5 != 4;
    let bounds = Bounds {
        max_area: max_area(area, &outline).filter(|_| is_coarse),
        max_vertices: MAX_VERTICES,
    };
    let run = || triangulate(&outline, bounds, &mut ());
    let found = match run() {
        Ok(found) => found,
        Err(Interrupted::Failed(error)) => return check_error(&error, &outline),
        Err(Interrupted::Stopped) => unreachable!("nobody stops it"),
    };
    let boundary = check_triangles(&found.vertices, &found.triangles, bounds.max_area);
    check_rings(&found.rings, &boundary);
    assert!(found.vertices.len() <= MAX_VERTICES);
    match found.repair {
        None => assert_eq!(found.vertices[..outline.len()], outline),
        Some(Repair::Filled { .. }) => {}
        Some(Repair::ConvexHull) => assert!(!is_from_image(&outline), "hull of {outline:?}"),
    }
    assert_eq!(Ok(found), run());
});

/// Whether the outline could be that of an image. Of larger ones that almost touch along their
/// whole length the hull is taken now and then.
fn is_from_image(outline: &[[f64; 2]]) -> bool {
    let is_pixel = |value: &f64| value.fract() == 0.0 && (0.0..=4096.0).contains(value);
    outline.iter().flatten().all(is_pixel)
}

/// Points of four bits an axis (so that most outlines touch and cross themselves), of eight, of
/// sixteen, of sixteen as tenths, which no binary fraction is, or of any bits.
fn points(notation: u8, bytes: &[u8]) -> Vec<[f64; 2]> {
    let short = |bytes: &[u8]| f64::from(i16::from_le_bytes([bytes[0], bytes[1]]));
    match notation {
        0 => bytes
            .iter()
            .map(|&byte| [byte >> 4, byte & 15].map(f64::from))
            .collect(),
        1 => pairs(bytes, 1, |byte| f64::from(byte[0])),
        2 => pairs(bytes, 2, short),
        3 => pairs(bytes, 2, |bytes| short(bytes) * 0.1),
        _ => pairs(bytes, 8, |bytes| {
            f64::from_le_bytes(bytes.try_into().expect("eight bytes"))
        }),
    }
}

fn pairs(bytes: &[u8], size: usize, read: impl Fn(&[u8]) -> f64) -> Vec<[f64; 2]> {
    bytes
        .chunks_exact(2 * size)
        .map(|point| [read(&point[..size]), read(&point[size..])])
        .collect()
}

/// None for half of the bytes, then ever smaller shares of the bounding box, at last too small.
fn max_area(byte: u8, outline: &[[f64; 2]]) -> Option<f64> {
    match byte {
        0..128 => None,
        255 => Some(f64::MIN_POSITIVE),
        _ => Some(bounding_area(outline) / f64::from(byte - 127).powi(2)),
    }
}

fn check_error(error: &TriangulationError, outline: &[[f64; 2]]) {
    match error {
        TriangulationError::InsufficientVertices { .. } => assert!(outline.len() < 3),
        TriangulationError::NotFinite => {
            assert!(outline.iter().flatten().any(|value| !value.is_finite()));
        }
        TriangulationError::Collinear { .. } => {
            let next = outline.iter().cycle().skip(1);
            let sides = outline.iter().zip(next);
            let doubled_area: f64 = sides.map(|(a, b)| a[0] * b[1] - b[0] * a[1]).sum();
            let largest = outline
                .iter()
                .flatten()
                .fold(0.0, |a: f64, b| a.max(b.abs()));
            // Less than what rounding leaves of nothing.
            assert!(
                !(doubled_area.abs() > 1e-6 * largest * largest),
                "{outline:?} encloses something"
            );
        }
        _ => {}
    }
}
