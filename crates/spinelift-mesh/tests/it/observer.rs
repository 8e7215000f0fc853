//! The nine steps as their observer sees them.

use serde_json::json;
use spinelift_mesh::{Limits, MeshError, MeshParameters, Observer, Step, generate};
use std::ops::ControlFlow;

const IMAGE: &[u8] = include_bytes!("../images/shapes/figure-large.png");

#[test]
fn all_steps_come_once_and_in_order_with_the_contract_s_words() {
    let mut seen = Vec::new();
    let mut observer = |step: Step| {
        seen.push((step.percent(), step.message()));
        ControlFlow::Continue(())
    };
    generate(
        IMAGE,
        &MeshParameters::default(),
        &Limits::default(),
        &mut observer,
    )
    .unwrap();
    assert_eq!(
        seen,
        [
            (10, "Loading image..."),
            (20, "Creating mask..."),
            (30, "Processing contours..."),
            (40, "Finding main contour..."),
            (50, "Simplifying contour..."),
            (70, "Triangulating mesh..."),
            (85, "Generating UV coordinates..."),
            (95, "Calculating edges..."),
            (100, "Mesh generation complete"),
        ]
    );
}

#[test]
fn it_can_be_stopped_at_every_step() {
    for stop_at in Step::ALL {
        let mut observer = |step: Step| match step == stop_at {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        };
        let result = generate(
            IMAGE,
            &MeshParameters::default(),
            &Limits::default(),
            &mut observer,
        );
        assert_eq!(result, Err(MeshError::Stopped { step: stop_at }));
    }
}

/// Counts polls, and stops at one of them.
struct Polls {
    step: Step,
    seen: Vec<Step>,
    stop_at: usize,
}

impl Observer for Polls {
    fn step(&mut self, step: Step) -> ControlFlow<()> {
        self.step = step;
        ControlFlow::Continue(())
    }

    fn poll(&mut self) -> ControlFlow<()> {
        self.seen.push(self.step);
        if self.seen.len() > self.stop_at {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[test]
fn it_can_be_stopped_inside_every_long_step() {
    let parameters = MeshParameters {
        internal_vertex_density: 40,
        ..MeshParameters::default()
    };
    let run = |stop_at| {
        let mut polls = Polls {
            step: Step::LoadImage,
            seen: Vec::new(),
            stop_at,
        };
        (
            generate(IMAGE, &parameters, &Limits::default(), &mut polls),
            polls.seen,
        )
    };
    let (result, polls) = run(usize::MAX);
    result.unwrap();
    for step in [
        Step::ProcessContours,
        Step::FindMainContour,
        Step::TriangulateMesh,
    ] {
        assert!(
            polls.contains(&step),
            "never polled during {step:?}: {polls:?}"
        );
    }
    for (stop_at, &step) in polls.iter().enumerate() {
        let (result, _) = run(stop_at);
        assert_eq!(result, Err(MeshError::Stopped { step }));
    }
}

/// The polls of a whole run, and whether stopping at each of them ends it in the step it is in.
fn polls_that_stop(image: &[u8], parameters: &MeshParameters, every: usize) -> Vec<Step> {
    let run = |stop_at| {
        let mut polls = Polls {
            step: Step::LoadImage,
            seen: Vec::new(),
            stop_at,
        };
        let result = generate(image, parameters, &Limits::default(), &mut polls);
        (result, polls.seen)
    };
    let (_, polls) = run(usize::MAX);
    for (stop_at, &step) in polls.iter().enumerate().step_by(every) {
        let (result, seen) = run(stop_at);
        assert_eq!(result, Err(MeshError::Stopped { step }));
        assert_eq!(seen.len(), stop_at + 1, "asked again after a stop");
    }
    polls
}

fn format(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/images/formats/");
    std::fs::read(format!("{folder}{name}")).unwrap()
}

fn count(polls: &[Step], step: Step) -> usize {
    polls.iter().filter(|&&seen| seen == step).count()
}

#[test]
fn every_format_can_be_stopped_while_it_is_decoded() {
    for name in [
        "rgba-8.png",
        "interlaced-rgba-8.png",
        "webp-lossless-alpha.webp",
        "webp-lossless-opaque.webp",
        "webp-lossy-alpha.webp",
        "webp-lossy-opaque.webp",
        "webp-animated.webp",
        "jpeg-baseline.jpg",
        "jpeg-progressive.jpg",
    ] {
        let polls = polls_that_stop(&format(name), &MeshParameters::default(), 1);
        assert!(count(&polls, Step::CreateMask) > 0, "{name}: {polls:?}");
    }
}

#[test]
fn a_decoder_asks_again_as_it_goes_on() {
    // Noise, so that no decoder gets through it with a few bytes.
    let mut state = 1u64;
    let pixels: Vec<u8> = (0..256 * 256 * 4)
        .map(|_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 56) as u8
        })
        .collect();
    let mut webp = Vec::new();
    image_webp::WebPEncoder::new(&mut webp)
        .encode(&pixels, 256, 256, image_webp::ColorType::Rgba8)
        .unwrap();
    let interlaced = crate::drawing::interlaced(256, &pixels);
    for (image, least) in [(webp, 60), (interlaced, 10)] {
        let polls = polls_that_stop(&image, &MeshParameters::default(), 17);
        let decoding = count(&polls, Step::CreateMask);
        assert!(decoding > least, "{decoding} polls");
    }
}

/// Also while outlines are chosen from many vertices, and while the two halves are compared.
#[test]
fn a_cover_can_be_stopped_wherever_it_asks() {
    let image = include_bytes!("../images/shapes/star-with-thin-spikes.png");
    let given = json!({
        "outline": { "mode": "cover", "padding": 0.5, "symmetry": "vertical" },
        "interior": { "vertices": 60 },
    });
    let (parameters, _) = MeshParameters::from_json(&given).unwrap();
    let polls = polls_that_stop(image, &parameters, 7);
    assert!(count(&polls, Step::SimplifyContour) >= 50, "{polls:?}");
}

/// A few bytes of a lossy picture's alpha stand for many pixels.
#[test]
fn a_lossy_picture_asks_between_pixels_and_rows() {
    let image = include_bytes!("../images/large/lossy-alpha.webp");
    let header = spinelift_mesh::image::ImageHeader::read(image, &Limits::default()).unwrap();
    let (width, height) = (header.width as usize, header.height as usize);
    let polls = polls_that_stop(image, &MeshParameters::default(), 997);
    let (decoding, rows) = (
        count(&polls, Step::CreateMask),
        count(&polls, Step::ProcessContours),
    );
    assert!(
        decoding >= height / 8,
        "{decoding} polls for {width} x {height}"
    );
    assert!(rows >= height / 64, "{rows} polls for {height} rows");
}

#[test]
fn simplification_and_filling_can_be_stopped() {
    let image = include_bytes!("../images/shapes/star-with-thin-spikes.png");
    let polls = polls_that_stop(image, &MeshParameters::default(), 1);
    assert!(count(&polls, Step::SimplifyContour) >= 3, "{polls:?}");
    assert!(count(&polls, Step::TriangulateMesh) >= 1, "{polls:?}");

    let contour: Vec<[i32; 2]> = (0..200_000).map(|x| [x, x % 7]).collect();
    for stop_at in 0..5 {
        let mut polls = Polls {
            step: Step::SimplifyContour,
            seen: Vec::new(),
            stop_at,
        };
        let result = spinelift_mesh::outline::simplify(&contour, 1000.0, &mut polls);
        assert!(result.is_err(), "stopped at {stop_at}");
    }
    // Lines that cross one another all over: thousands of pairs.
    let zigzag: Vec<[f64; 2]> = (0..400)
        .map(|index| [f64::from(index % 2 * 1000), f64::from(index * 7919 % 1000)])
        .collect();
    let bounds = spinelift_mesh::triangulation::Bounds {
        max_area: None,
        max_vertices: 100_000,
    };
    for stop_at in 0..20 {
        let mut polls = Polls {
            step: Step::TriangulateMesh,
            seen: Vec::new(),
            stop_at,
        };
        let result = spinelift_mesh::triangulation::triangulate(&zigzag, bounds, &mut polls);
        let stopped = spinelift_mesh::error::Interrupted::Stopped;
        assert_eq!(result, Err(stopped), "stopped at {stop_at}");
    }
}
