//! The nine steps as their observer sees them.

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
