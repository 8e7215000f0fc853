//! Where the time of a job goes.

use super::registry::{Registry, Series};
use super::table::STAGE_DURATION;
use metrics::Histogram;
use spinelift_mesh::Step;
use std::time::Instant;

/// The stages of a job.
#[derive(Clone)]
pub(crate) struct Stages(Series<Histogram>);

const STAGES: &[&str] = &[
    "download",
    "wait_same",
    "wait_slot",
    "wait_core",
    "load_image",
    "create_mask",
    "process_contours",
    "find_main_contour",
    "simplify_contour",
    "triangulate_mesh",
    "generate_uvs",
    "calculate_edges",
    "finalize",
    "store",
    "record",
];

impl Stages {
    pub(super) fn new(registry: &Registry) -> Self {
        Self(registry.histograms(STAGE_DURATION, STAGES))
    }

    /// Times a stage.
    pub(crate) async fn time<T>(&self, stage: &str, work: impl Future<Output = T>) -> T {
        let began = Instant::now();
        let result = work.await;
        self.record(stage, began);
        result
    }

    /// A stage that began then is over.
    pub(crate) fn record(&self, stage: &str, began: Instant) {
        self.0.of(stage).record(began.elapsed());
    }

    /// Times the steps of one run of the pipeline.
    pub(crate) fn steps(&self) -> Steps {
        Steps {
            stages: self.clone(),
            current: None,
        }
    }
}

/// The clock of the pipeline's steps: each ends as the next begins, the last as this is dropped.
pub(crate) struct Steps {
    stages: Stages,
    current: Option<(Step, Instant)>,
}

impl Steps {
    pub(crate) fn begin(&mut self, step: Step) {
        self.end();
        self.current = Some((step, Instant::now()));
    }

    fn end(&mut self) {
        if let Some((step, began)) = self.current.take() {
            self.stages.record(name(step), began);
        }
    }
}

impl Drop for Steps {
    fn drop(&mut self) {
        self.end();
    }
}

fn name(step: Step) -> &'static str {
    match step {
        Step::LoadImage => "load_image",
        Step::CreateMask => "create_mask",
        Step::ProcessContours => "process_contours",
        Step::FindMainContour => "find_main_contour",
        Step::SimplifyContour => "simplify_contour",
        Step::TriangulateMesh => "triangulate_mesh",
        Step::GenerateUvs => "generate_uvs",
        Step::CalculateEdges => "calculate_edges",
        Step::Finalize => "finalize",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_is_a_stage() {
        for step in Step::ALL {
            assert!(STAGES.contains(&name(step)), "{step:?}");
        }
    }
}
