//! The progress of running jobs: in memory only, since a crash makes it untrue anyway.

use crate::engine::Claim;
use crate::job::{Job, JobId, JobState, Progress};
use parking_lot::RwLock;
use std::collections::HashMap;

/// The latest progress of each attempt that runs.
#[derive(Default)]
pub(super) struct Running(RwLock<HashMap<JobId, (u32, Progress)>>);

impl Running {
    pub(super) fn begin(&self, claim: &Claim) {
        let entry = (claim.job.attempts, Progress::STARTED);
        self.0.write().insert(claim.job.id.clone(), entry);
    }

    pub(super) fn report(&self, claim: &Claim, progress: Progress) {
        if let Some((attempt, current)) = self.0.write().get_mut(&claim.job.id)
            && *attempt == claim.job.attempts
        {
            *current = progress;
        }
    }

    pub(super) fn end(&self, claim: &Claim) {
        let mut running = self.0.write();
        if running
            .get(&claim.job.id)
            .is_some_and(|(attempt, _)| *attempt == claim.job.attempts)
        {
            running.remove(&claim.job.id);
        }
    }

    pub(super) fn progress(&self, id: &JobId) -> Option<Progress> {
        self.0.read().get(id).map(|(_, progress)| progress.clone())
    }

    /// Completes a job as read from the file.
    pub(super) fn overlay(&self, job: &mut Job) {
        if job.state == JobState::Running
            && let Some(progress) = self.progress(&job.id)
        {
            job.progress = progress;
        }
    }
}
