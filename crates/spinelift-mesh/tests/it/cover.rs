//! What an outline that loses no pixel promises, on every mask.

use crate::drawing::png;
use crate::expected::well_formed;
use proptest::prelude::*;
use serde_json::{Value, json};
use spinelift_mesh::{Limits, Mesh, MeshError, MeshParameters, Observer, Step, Warning, generate};
use std::ops::ControlFlow;

/// Which pixels are visible.
#[derive(Debug, Clone)]
struct Art {
    width: u32,
    height: u32,
    visible: Vec<bool>,
}

impl Art {
    fn of(width: u32, height: u32, mut visible: impl FnMut(u32, u32) -> bool) -> Self {
        let pixels = (0..height).flat_map(|y| (0..width).map(move |x| (x, y)));
        Art {
            width,
            height,
            visible: pixels.map(|(x, y)| visible(x, y)).collect(),
        }
    }

    fn image(&self) -> Vec<u8> {
        let pixels: Vec<u8> = self
            .visible
            .iter()
            .flat_map(|&visible| [0, u8::from(visible)])
            .collect();
        png(
            self.width,
            self.height,
            png::ColorType::GrayscaleAlpha,
            &pixels,
        )
    }

    fn mesh(&self, parameters: Value) -> Result<Mesh, MeshError> {
        self.watched(parameters, &mut ())
    }

    fn watched(&self, parameters: Value, observer: &mut dyn Observer) -> Result<Mesh, MeshError> {
        let (parameters, warnings) = MeshParameters::from_json(&parameters).unwrap();
        assert_eq!(warnings, []);
        generate(&self.image(), &parameters, &Limits::default(), observer)
    }

    fn pixels(&self) -> impl Iterator<Item = (i64, i64)> + '_ {
        let width = self.width as usize;
        let visible = self
            .visible
            .iter()
            .enumerate()
            .filter(|(_, visible)| **visible);
        visible.map(move |(index, _)| ((index % width) as i64, (index / width) as i64))
    }
}

/// Whole numbers of 1/256 pixel, which all vertices of a cover's outline are.
fn grid(vertex: [f64; 2]) -> [i64; 2] {
    let steps = vertex.map(|side| side * 256.0);
    assert!(steps.iter().all(|side| side.fract() == 0.0), "{vertex:?}");
    steps.map(|side| side as i64)
}

fn outline(mesh: &Mesh) -> Vec<[i64; 2]> {
    let ring = mesh.boundary_indices.iter();
    ring.map(|&index| grid(mesh.vertices[index as usize]))
        .collect()
}

fn cross(a: [i64; 2], b: [i64; 2], c: [i64; 2]) -> i64 {
    (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
}

/// Whether an outline contains a box as a whole, exactly: its middle is inside, and no edge meets
/// the inside of the box.
fn contains(ring: &[[i64; 2]], [left, top, right, bottom]: [i64; 4]) -> bool {
    let middle = [(left + right) / 2, (top + bottom) / 2];
    let corners = [[left, top], [right, top], [right, bottom], [left, bottom]];
    let mut is_inside = false;
    for (index, &a) in ring.iter().enumerate() {
        let b = ring[(index + 1) % ring.len()];
        let sides = corners.map(|corner| cross(a, b, corner));
        let meets = a[0].min(b[0]) < right
            && a[0].max(b[0]) > left
            && a[1].min(b[1]) < bottom
            && a[1].max(b[1]) > top
            && sides.iter().any(|&side| side > 0)
            && sides.iter().any(|&side| side < 0);
        if meets {
            return false;
        }
        if (a[1] > middle[1]) != (b[1] > middle[1]) {
            is_inside ^= (cross(a, b, middle) > 0) == (b[1] > a[1]);
        }
    }
    is_inside
}

/// Every pixel is inside of one of the meshes, with `padding` steps around it inside the image.
fn assert_covered(art: &Art, meshes: &[&Mesh], padding: i64) {
    let rings: Vec<_> = meshes.iter().map(|mesh| outline(mesh)).collect();
    let [width, height] = [art.width, art.height].map(|side| i64::from(side) * 256);
    for (x, y) in art.pixels() {
        let square = [
            (x * 256 - padding).max(0),
            (y * 256 - padding).max(0),
            ((x + 1) * 256 + padding).min(width),
            ((y + 1) * 256 + padding).min(height),
        ];
        let is_covered = rings.iter().any(|ring| contains(ring, square));
        assert!(is_covered, "({x}, {y}) with {padding} in {rings:?}");
    }
}

fn assert_valid(mesh: &Mesh) {
    well_formed(mesh).unwrap();
    let (width, height) = (
        f64::from(mesh.metadata.width),
        f64::from(mesh.metadata.height),
    );
    let is_in_image =
        |v: &[f64; 2]| (0.0..=width).contains(&v[0]) && (0.0..=height).contains(&v[1]);
    assert!(mesh.vertices.iter().all(is_in_image), "{:?}", mesh.vertices);
    // One ring, so a simple polygon: what touched or crossed itself would have been repaired.
    let is_repaired = |warning: &Warning| warning.code().starts_with("OUTLINE_REP");
    assert!(!mesh.metadata.warnings.iter().any(is_repaired));
    assert_eq!(mesh.boundary_edges.len(), 2 * mesh.boundary_indices.len());
    let quality = &mesh.metadata.quality;
    assert_eq!((quality.pixels_lost, quality.pixels_cut), (0, 0));
    assert_eq!(quality.coverage, 1.0);
    assert!(quality.overdraw.unwrap() >= 1.0);
}

fn random(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed | 1;
    move || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        state >> 33
    }
}

fn spiral(side: u32, pitch: f64) -> Art {
    Art::of(side, side, |x, y| {
        let (dx, dy) = (
            f64::from(x) - f64::from(side) / 2.0,
            f64::from(y) - f64::from(side) / 2.0,
        );
        let turn = dx.hypot(dy) / pitch - dy.atan2(dx) / std::f64::consts::TAU;
        turn.rem_euclid(1.0) < 0.5 && dx.hypot(dy) < f64::from(side) / 2.0
    })
}

/// Noise of every density, blots, rings, spirals, and lone pixels.
fn art() -> impl Strategy<Value = Art> {
    let noise =
        (1u32..40, 1u32..40, 1u64..100, any::<u64>()).prop_map(|(width, height, percent, seed)| {
            let mut random = random(seed);
            Art::of(width, height, |_, _| random() % 100 < percent)
        });
    let blots =
        (4u32..80, 4u32..80, 1usize..8, any::<u64>()).prop_map(|(width, height, count, seed)| {
            let mut random = random(seed);
            let blots: Vec<[i64; 4]> = (0..count)
                .map(|_| {
                    [
                        random() as i64 % 80,
                        random() as i64 % 80,
                        random() as i64 % 300,
                        random() as i64 % 200,
                    ]
                })
                .collect();
            Art::of(width, height, |x, y| {
                blots.iter().any(|&[cx, cy, outer, inner]| {
                    let (dx, dy) = (i64::from(x) - cx, i64::from(y) - cy);
                    (inner / 2..=outer.max(inner / 2)).contains(&(dx * dx + dy * dy))
                })
            })
        });
    let spirals = (8u32..64, 4.0..16.0f64).prop_map(|(side, pitch)| spiral(side, pitch));
    prop_oneof![noise, blots, spirals]
}

fn options() -> impl Strategy<Value = Value> {
    let padding = prop::sample::select(vec![0.0, 0.0, 0.5, 1.0, 2.5]);
    let islands = prop::sample::select(vec!["bridge", "separate"]);
    let symmetry = prop::sample::select(vec!["none", "none", "auto", "vertical"]);
    let overdraw = prop::sample::select(vec![Value::Null, Value::Null, json!(1.1), json!(2)]);
    let interior = prop::sample::select(vec![
        json!({}),
        json!({}),
        json!({ "vertices": 40 }),
        json!({ "spacing": 4 }),
        json!({ "vertices": 30, "min_angle": 25 }),
        json!({ "min_angle": 20 }),
    ]);
    (4u32..40, padding, islands, symmetry, overdraw, interior).prop_map(
        |(budget, padding, islands, symmetry, overdraw, interior)| {
            json!({
                "outline": { "mode": "cover", "max_vertices": budget, "padding": padding,
                    "islands": islands, "symmetry": symmetry, "max_overdraw": overdraw },
                "interior": interior,
            })
        },
    )
}

/// `PROPTEST_CASES` asks for more cases.
fn config() -> ProptestConfig {
    let asked_for = ProptestConfig::default();
    ProptestConfig {
        cases: asked_for.cases.max(600),
        ..asked_for
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_pixel_is_lost_whatever_the_mask_and_the_options(art in art(), options in options()) {
        let found = art.mesh(options.clone());
        let is_empty = art.pixels().next().is_none();
        prop_assert_eq!(found.is_err(), is_empty);
        let Ok(mesh) = found else { return Ok(()) };
        let meshes: Vec<&Mesh> = std::iter::once(&mesh).chain(&mesh.islands).collect();
        let padding = options["outline"]["padding"].as_f64().unwrap();
        assert_covered(&art, &meshes, (padding * 256.0) as i64);
        let budget = options["outline"]["max_vertices"].as_u64().unwrap() as usize;
        for mesh in &meshes {
            assert_valid(mesh);
            if options["interior"] == json!({}) {
                prop_assert!(mesh.vertices.len() <= budget);
            }
            if let Some(most) = options["interior"]["vertices"].as_u64() {
                prop_assert!(mesh.vertices.len() <= budget.max(most as usize));
            }
        }
        // The same bytes again.
        prop_assert_eq!(art.mesh(options).unwrap().to_json(), mesh.to_json());
    }
}

fn cover(max_vertices: u32) -> Value {
    json!({ "outline": { "mode": "cover", "max_vertices": max_vertices } })
}

#[test]
fn a_full_frame_is_its_rectangle() {
    let mesh = Art::of(31, 17, |_, _| true).mesh(cover(12)).unwrap();
    let mut vertices = mesh.vertices.clone();
    vertices.sort_by(|a, b| a.partial_cmp(b).unwrap());
    assert_eq!(
        vertices,
        [[0.0, 0.0], [0.0, 17.0], [31.0, 0.0], [31.0, 17.0]]
    );
    assert_eq!(mesh.metadata.quality.overdraw, Some(1.0));
}

#[test]
fn one_pixel_is_its_square() {
    let mesh = Art::of(9, 9, |x, y| (x, y) == (4, 7))
        .mesh(cover(4))
        .unwrap();
    assert_eq!(mesh.vertices.len(), 4);
    assert_eq!(mesh.metadata.quality.area, 1.0);
}

#[test]
fn nothing_visible_is_an_error() {
    let error = Art::of(9, 9, |_, _| false).mesh(cover(4)).unwrap_err();
    assert_eq!(error.code(), "CONTOUR_EXTRACTION_FAILED");
    assert_eq!(error.details()["reason"], "nothing_visible");
    // The other threshold does not count.
    let advice = error.advice();
    assert!(advice.contains("alpha_threshold") && !advice.contains("binary_threshold"));
}

#[test]
fn islands_are_bridged_left_out_or_meshed_apart() {
    let art = Art::of(40, 40, |x, y| {
        x % 20 < 6 && y % 20 < 6 || x % 20 < 9 && y < 9 && x < 9
    });
    let islands = |mode: &str| {
        art.mesh(json!({ "outline": { "mode": "cover", "max_vertices": 24, "islands": mode } }))
            .unwrap()
    };
    let bridged = islands("bridge");
    assert_covered(&art, &[&bridged], 0);
    assert!(bridged.islands.is_empty());
    let largest = islands("largest");
    assert_eq!(largest.metadata.quality.area, 81.0);
    assert_eq!(largest.metadata.quality.pixels_lost, 3 * 36);
    let separate = islands("separate");
    assert_eq!(separate.islands.len(), 3);
    let areas = separate
        .islands
        .iter()
        .map(|mesh| mesh.metadata.quality.area);
    assert_eq!(areas.collect::<Vec<_>>(), [36.0; 3]);
    let json: Value = serde_json::from_slice(&separate.to_json()).unwrap();
    assert_eq!(json["islands"][2]["metadata"]["quality"]["coverage"], 1.0);
    let json: Value = serde_json::from_slice(&bridged.to_json()).unwrap();
    assert_eq!(json.get("islands"), None);
}

#[test]
fn more_islands_than_meshes_share_the_last_one() {
    let art = Art::of(90, 90, |x, y| x % 3 == 0 && y % 3 == 0);
    let outline = json!({ "mode": "cover", "max_vertices": 4, "islands": "separate" });
    let mesh = art.mesh(json!({ "outline": outline })).unwrap();
    assert_eq!(mesh.islands.len(), 255);
    assert_eq!(
        mesh.metadata.warnings,
        [Warning::IslandsJoined { count: 900 - 255 }]
    );
    let meshes: Vec<&Mesh> = std::iter::once(&mesh).chain(&mesh.islands).collect();
    assert_covered(&art, &meshes, 0);
}

#[test]
fn a_border_too_long_is_followed_coarser_and_nothing_is_lost() {
    let mut random = random(5);
    let art = Art::of(400, 400, |_, _| random().is_multiple_of(2));
    for budget in [4, 64] {
        let mesh = art.mesh(cover(budget)).unwrap();
        assert_valid(&mesh);
        assert_covered(&art, &[&mesh], 0);
    }
    let art = spiral(600, 6.0);
    let mesh = art.mesh(cover(200)).unwrap();
    assert_valid(&mesh);
    assert_covered(&art, &[&mesh], 0);
}

#[test]
fn an_overdraw_takes_as_few_vertices_as_reach_it() {
    let art = Art::of(120, 120, |x, y| {
        (x as i32 - 60).pow(2) + (y as i32 - 60).pow(2) < 58 * 58
    });
    let within = |overdraw: f64| {
        let outline = json!({ "mode": "cover", "max_overdraw": overdraw });
        let mesh = art.mesh(json!({ "outline": outline })).unwrap();
        assert!(mesh.metadata.quality.overdraw.unwrap() <= overdraw);
        mesh.vertices.len()
    };
    // A circumscribed octagon has 1.055 times the circle's area.
    assert_eq!(within(1.3), 4);
    assert!((7..=9).contains(&within(1.07)));
    assert!(within(1.03) > within(1.07));
}

#[test]
fn a_symmetric_sprite_gets_a_symmetric_mesh() {
    let heart = |x: u32, y: u32| {
        let (dx, y) = (
            f64::from(x.abs_diff(40).min(39 - x.min(39) + 100)),
            f64::from(y),
        );
        dx < 38.0 && y > 10.0 - dx / 6.0 && y < 70.0 - dx * 1.5
    };
    let art = Art::of(80, 80, |x, y| heart(if x < 40 { 79 - x } else { x }, y));
    let parameters = |symmetry: &str| {
        json!({
            "outline": { "mode": "cover", "max_vertices": 10, "symmetry": symmetry },
            "interior": { "vertices": 50 },
        })
    };
    for symmetry in ["auto", "vertical"] {
        let mesh = art.mesh(parameters(symmetry)).unwrap();
        assert_valid(&mesh);
        let mut vertices = mesh.vertices.clone();
        let mut mirrored: Vec<_> = vertices.iter().map(|&[x, y]| [80.0 - x, y]).collect();
        vertices.sort_by(|a, b| a.partial_cmp(b).unwrap());
        mirrored.sort_by(|a, b| a.partial_cmp(b).unwrap());
        assert_eq!(vertices, mirrored);
    }
    // What is not symmetric is left alone by `auto`.
    let art = Art::of(80, 80, |x, y| x < 20 || y > 60);
    let [auto, none] = ["auto", "none"].map(|symmetry| art.mesh(parameters(symmetry)).unwrap());
    assert_eq!(auto.vertices, none.vertices);
}

#[test]
fn an_interior_honours_budget_spacing_and_angle() {
    let art = Art::of(200, 120, |x, y| {
        let (dx, dy) = (f64::from(x) - 100.0, f64::from(y) - 60.0);
        (dx / 98.0).powi(2) + (dy / 58.0).powi(2) < 1.0
    });
    let mesh = |interior: Value| {
        let mesh = art
            .mesh(json!({ "outline": { "mode": "cover" }, "interior": interior }))
            .unwrap();
        assert_valid(&mesh);
        assert_covered(&art, &[&mesh], 0);
        assert_eq!(mesh.metadata.quality.near_duplicate_vertices, 0);
        mesh
    };
    let budget = mesh(json!({ "vertices": 60 }));
    assert!(
        (54..=60).contains(&budget.vertices.len()),
        "{}",
        budget.vertices.len()
    );
    let [wide, narrow] = [20, 10].map(|spacing| mesh(json!({ "spacing": spacing })).vertices.len());
    assert!(narrow > 3 * wide, "{narrow} {wide}");
    let angle = mesh(json!({ "vertices": 80, "min_angle": 28 }));
    assert!(angle.metadata.quality.min_angle.unwrap() >= 28.0);
    assert!(angle.vertices.len() <= 80);
}

#[test]
fn the_reference_takes_an_interior_too() {
    let art = Art::of(90, 60, |x, y| x.abs_diff(45) + y.abs_diff(30) < 29);
    let given =
        json!({ "alpha_threshold": 1, "binary_threshold": 0, "interior": { "vertices": 40 } });
    let mesh = art.mesh(given).unwrap();
    well_formed(&mesh).unwrap();
    assert!((30..=40).contains(&mesh.vertices.len()));
}

#[test]
fn an_interior_that_is_cut_short_by_time_says_so() {
    let image = include_bytes!("../images/shapes/comb.png");
    let given = json!({ "interior": { "vertices": 60, "min_angle": 30 } });
    let (parameters, _) = MeshParameters::from_json(&given).unwrap();
    let limits = Limits::default();
    let mesh = generate(image, &parameters, &limits, &mut Deadline(1)).unwrap();
    well_formed(&mesh).unwrap();
    assert_eq!(mesh.metadata.warnings, [Warning::TimeWasUp]);
}

#[test]
fn a_deadline_that_nobody_keeps_changes_no_byte() {
    let art = spiral(60, 20.0);
    let mut given = cover(12);
    let without = art.mesh(given.clone()).unwrap();
    given["deadline_ms"] = json!(1);
    assert_eq!(art.mesh(given).unwrap().to_json(), without.to_json());
}

/// Time is up after some questions.
struct Deadline(usize);

impl Observer for Deadline {
    fn step(&mut self, _: Step) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    fn is_time_up(&mut self) -> bool {
        self.0 = self.0.saturating_sub(1);
        self.0 == 0
    }
}

#[test]
fn when_time_is_up_the_best_so_far_is_valid() {
    let art = spiral(200, 40.0);
    let unhurried = art.mesh(cover(24)).unwrap();
    // Between two rounds, and within an exchange.
    for questions in (0..6).chain((6..200).step_by(23)) {
        let mesh = art.watched(cover(24), &mut Deadline(questions)).unwrap();
        assert_valid(&mesh);
        assert_covered(&art, &[&mesh], 0);
        if questions < 2 {
            assert_eq!(mesh.metadata.warnings, [Warning::TimeWasUp]);
        }
        assert!(mesh.metadata.quality.area >= unhurried.metadata.quality.area);
    }
}
