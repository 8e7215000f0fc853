//! What holds for every mask and every outline.

use crate::drawing::png;
use crate::expected::{area, well_formed};
use proptest::prelude::*;
use spinelift_mesh::triangulation::{Bounds, Repair, triangulate};
use spinelift_mesh::{Limits, MeshError, MeshParameters, generate};

/// Blots of alpha: rectangles, lines and noise laid over one another.
fn blots() -> impl Strategy<Value = (u32, u32, Vec<u8>)> {
    let blot = (
        0u32..64,
        0u32..64,
        1u32..40,
        1u32..40,
        prop::sample::select(vec![0u8, 90, 129, 255]),
        any::<bool>(),
    );
    (
        1u32..64,
        1u32..64,
        prop::collection::vec(blot, 0..12),
        0u32..4,
        any::<u64>(),
    )
        .prop_map(|(width, height, blots, noise, seed)| {
            let mut alpha = vec![0u8; (width * height) as usize];
            for (left, top, across, down, value, is_line) in blots {
                for y in 0..height {
                    for x in 0..width {
                        let inside =
                            (left..left + across).contains(&x) && (top..top + down).contains(&y);
                        let on_line =
                            (x + top).abs_diff(y + left) < 2 && (left..left + across).contains(&x);
                        if if is_line { on_line } else { inside } {
                            alpha[(y * width + x) as usize] = value;
                        }
                    }
                }
            }
            let mut state = seed | 1;
            for value in &mut alpha {
                state = state
                    .wrapping_mul(6364136223846793005)
                    .wrapping_add(1442695040888963407);
                if (state >> 60) < u64::from(noise) * 2 {
                    *value = (state >> 40) as u8;
                }
            }
            (width, height, alpha)
        })
}

fn parameters() -> impl Strategy<Value = MeshParameters> {
    (
        0.001f64..=0.05,
        0u8..=255,
        0.0f64..=100.0,
        prop::sample::select(vec![0u32, 0, 1, 30, 100]),
        1u32..=21,
        0u8..=255,
        100.0f64..=10000.0,
    )
        .prop_map(
            |(
                detail_factor,
                alpha_threshold,
                concave_factor,
                internal_vertex_density,
                blur_kernel_size,
                binary_threshold,
                density_scaling_factor,
            )| MeshParameters {
                detail_factor,
                alpha_threshold,
                concave_factor,
                internal_vertex_density,
                blur_kernel_size,
                binary_threshold,
                min_contour_area: 1.0,
                density_scaling_factor,
                min_triangle_area: 1.0,
            },
        )
}

fn shoelace(ring: &[[f64; 2]]) -> f64 {
    let next = ring.iter().cycle().skip(1);
    (ring
        .iter()
        .zip(next)
        .map(|(a, b)| a[0] * b[1] - b[0] * a[1])
        .sum::<f64>()
        / 2.0)
        .abs()
}

fn is_repaired(mesh: &spinelift_mesh::Mesh) -> bool {
    mesh.metadata
        .warnings
        .iter()
        .any(|warning| warning.code().starts_with("OUTLINE_REP"))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_mask_gives_a_valid_mesh_or_a_contour_error((width, height, alpha) in blots(), parameters in parameters()) {
        let pixels: Vec<u8> = alpha.iter().flat_map(|&alpha| [0, alpha]).collect();
        let image = png(width, height, png::ColorType::GrayscaleAlpha, &pixels);
        match generate(&image, &parameters, &Limits::default(), &mut ()) {
            Ok(mesh) => {
                prop_assert_eq!(well_formed(&mesh), Ok(()));
                let inside = |[x, y]: [f64; 2]| (0.0..=f64::from(width)).contains(&x) && (0.0..=f64::from(height)).contains(&y);
                prop_assert!(mesh.vertices.iter().all(|&vertex| inside(vertex)));
                prop_assert!(mesh.uvs.iter().all(|uv| (0.0..=1.0).contains(uv)));
                if !is_repaired(&mesh) {
                    let ring: Vec<_> = mesh.boundary_indices.iter().map(|&index| mesh.vertices[index as usize]).collect();
                    prop_assert!((area(&mesh) - shoelace(&ring)).abs() < 1e-6 * (1.0 + area(&mesh)));
                }
                let again = generate(&image, &parameters, &Limits::default(), &mut ()).unwrap();
                prop_assert_eq!(mesh.to_json(), again.to_json());
            }
            Err(MeshError::ContourExtraction(_)) => {}
            Err(other) => return Err(TestCaseError::fail(format!("{other}"))),
        }
    }

    /// Any closed walk on a small grid: crossings, touching, repeated points, overlapping edges.
    #[test]
    fn any_outline_gives_triangles_that_do_not_overlap(
        points in prop::collection::vec((0i32..12, 0i32..12), 3..40),
        scale in prop::sample::select(vec![1.0, 0.1, 341.0, 1.0e6]),
        max_area in prop::option::of(0.5f64..20.0),
    ) {
        let outline: Vec<[f64; 2]> = points.iter().map(|&(x, y)| [f64::from(x) * scale, f64::from(y) * scale]).collect();
        let max_area = max_area.map(|area| area * scale * scale);
        let bounds = Bounds { max_area, max_vertices: 100_000 };
        let Ok(found) = triangulate(&outline, bounds, &mut ()) else {
            let encloses = (0..12).any(|x| (0..12).any(|y| {
                winding_number(&points, [f64::from(x) + 0.437, f64::from(y) + 0.291]) != 0
            }));
            prop_assert!(!encloses, "an outline that encloses something was refused");
            return Ok(());
        };
        prop_assert_ne!(found.repair, Some(Repair::ConvexHull));
        // Exact: points that are almost on one line make triangles too thin for plain arithmetic.
        let doubled = |triangle: [u32; 3]| {
            let [a, b, c] = triangle.map(|index| {
                let [x, y] = found.vertices[index as usize];
                robust::Coord { x, y }
            });
            robust::orient2d(a, b, c)
        };
        prop_assert!(found.triangles.iter().all(|&triangle| doubled(triangle) > 0.0));
        if let Some(max_area) = max_area {
            prop_assert!(found.triangles.iter().all(|&triangle| doubled(triangle) <= 2.0 * max_area));
        }
        // No overlap: no two triangles on the same side of an edge, and the area is that of the rings.
        let mut sides = std::collections::HashSet::new();
        for &[a, b, c] in &found.triangles {
            for side in [(a, b), (b, c), (c, a)] {
                prop_assert!(sides.insert(side), "an edge has two triangles on one side");
            }
        }
        // No point lies in two triangles, and what the outline winds around lies in one.
        for x in 0..12 {
            for y in 0..12 {
                let sample = [f64::from(x) + 0.437, f64::from(y) + 0.291];
                if distance_to(&points, sample) < 0.02 {
                    continue;
                }
                let scaled = sample.map(|value| value * scale);
                let count = found.triangles.iter().filter(|&&triangle| contains(&found.vertices, triangle, scaled)).count();
                let winds = winding_number(&points, sample) != 0;
                prop_assert!(count <= 1 && (count == 1 || !winds), "{count} triangles at {sample:?}");
            }
        }
    }
}

fn contains(vertices: &[[f64; 2]], triangle: [u32; 3], point: [f64; 2]) -> bool {
    let [a, b, c] = triangle.map(|index| vertices[index as usize]);
    let left = |a: [f64; 2], b: [f64; 2]| {
        (b[0] - a[0]) * (point[1] - a[1]) - (b[1] - a[1]) * (point[0] - a[0]) > 0.0
    };
    left(a, b) && left(b, c) && left(c, a)
}

fn segments(points: &[(i32, i32)]) -> impl Iterator<Item = ([f64; 2], [f64; 2])> + '_ {
    let point = |&(x, y): &(i32, i32)| [f64::from(x), f64::from(y)];
    points
        .iter()
        .map(point)
        .zip(points.iter().map(point).cycle().skip(1))
}

fn winding_number(points: &[(i32, i32)], sample: [f64; 2]) -> i32 {
    segments(points)
        .map(|(a, b)| {
            let left =
                (b[0] - a[0]) * (sample[1] - a[1]) - (b[1] - a[1]) * (sample[0] - a[0]) > 0.0;
            match (a[1] <= sample[1], b[1] <= sample[1]) {
                (true, false) if left => 1,
                (false, true) if !left => -1,
                _ => 0,
            }
        })
        .sum()
}

fn distance_to(points: &[(i32, i32)], sample: [f64; 2]) -> f64 {
    segments(points)
        .map(|(a, b)| {
            let (along, off) = (
                [b[0] - a[0], b[1] - a[1]],
                [sample[0] - a[0], sample[1] - a[1]],
            );
            let length = (along[0] * along[0] + along[1] * along[1]).max(1e-12);
            let share = ((along[0] * off[0] + along[1] * off[1]) / length).clamp(0.0, 1.0);
            (off[0] - share * along[0]).hypot(off[1] - share * along[1])
        })
        .fold(f64::INFINITY, f64::min)
}
