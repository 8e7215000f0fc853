//! Who hears of the steps of a job: the engine, and the receiver of its callbacks.

use super::cpu::StopFlag;
use crate::callback::{CallbackLine, Callbacks};
use crate::engine::{Claim, JobEngine};
use crate::job::Progress;
use crate::metrics::Steps;
use parking_lot::Mutex;
use spinelift_mesh::{Observer, Step};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

/// Passes progress on. Dropping it ends the line to the receiver.
pub(super) struct Reporter {
    engine: Arc<dyn JobEngine>,
    claim: Claim,
    line: CallbackLine,
    last: Mutex<Progress>,
}

impl Reporter {
    pub(super) fn new(engine: &Arc<dyn JobEngine>, callbacks: &Callbacks, claim: &Claim) -> Self {
        Self {
            engine: Arc::clone(engine),
            claim: claim.clone(),
            line: callbacks.open(&claim.job),
            last: Mutex::new(Progress::STARTED),
        }
    }

    /// A step begins. The last one is not passed on: to the client the job is complete when its
    /// result is stored, and the final event says so.
    pub(super) fn step(&self, step: Step) {
        let progress = Progress::from(step);
        let mut last = self.last.lock();
        if step == Step::Finalize || progress.percent <= last.percent {
            return;
        }
        self.engine.report(&self.claim, progress.clone());
        self.line.progress(&progress);
        *last = progress;
    }

    pub(super) fn last(&self) -> Progress {
        self.last.lock().clone()
    }
}

/// Watches the computation for a [`Reporter`], and stops it when nobody waits any more.
pub(super) struct Watch {
    pub(super) reporter: Arc<Reporter>,
    pub(super) stop: StopFlag,
    pub(super) steps: Steps,
    /// When searches have to end with what they have.
    pub(super) deadline: Option<Instant>,
}

impl Observer for Watch {
    fn step(&mut self, step: Step) -> ControlFlow<()> {
        self.poll()?;
        self.steps.begin(step);
        self.reporter.step(step);
        ControlFlow::Continue(())
    }

    fn poll(&mut self) -> ControlFlow<()> {
        if self.stop.is_raised() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn is_time_up(&mut self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }
}
