//! The attempts that this node makes, and the tokens by which the server knows them.

use crate::engine::Claim;
use crate::engine::live::Live;
use crate::job::{Job, JobId, JobState, Progress};
use parking_lot::Mutex;
use std::collections::HashMap;

/// What runs here, and who watches what.
#[derive(Default)]
pub(super) struct Held {
    pub(super) live: Live,
    tokens: Mutex<HashMap<JobId, Attempt>>,
}

struct Attempt {
    number: u32,
    token: String,
}

impl Held {
    pub(super) fn begin(&self, job: Job, token: String) -> Claim {
        let attempt = Attempt {
            number: job.attempts,
            token,
        };
        let earlier = self.tokens.lock().insert(job.id.clone(), attempt);
        if earlier.is_some() {
            // Its lease ended, and the job came to this very node once more.
            self.live.stop(&job.id);
        }
        self.live.begin(job)
    }

    /// The token of an attempt, as long as it is held.
    pub(super) fn token(&self, claim: &Claim) -> Option<String> {
        let tokens = self.tokens.lock();
        let attempt = tokens.get(&claim.job.id)?;
        (attempt.number == claim.job.attempts).then(|| attempt.token.clone())
    }

    /// An attempt is over.
    pub(super) fn end(&self, claim: &Claim) {
        let (id, number) = (&claim.job.id, claim.job.attempts);
        let mut tokens = self.tokens.lock();
        if tokens.get(id).is_some_and(|known| known.number == number) {
            tokens.remove(id);
        }
        drop(tokens);
        self.live.end(id, number);
    }

    /// An attempt counts for nothing any more: whoever makes it is told to stop.
    pub(super) fn lose(&self, id: &JobId, token: &str) -> bool {
        let mut tokens = self.tokens.lock();
        let is_held = tokens.get(id).is_some_and(|known| known.token == token);
        if is_held {
            tokens.remove(id);
            drop(tokens);
            self.live.stop(id);
        }
        is_held
    }

    /// All of them, with their tokens.
    pub(super) fn all(&self) -> Vec<(JobId, String)> {
        let tokens = self.tokens.lock();
        let all = tokens.iter();
        all.map(|(id, attempt)| (id.clone(), attempt.token.clone()))
            .collect()
    }

    /// Completes a job as the server knows it: what this node has just reported may be on its way.
    pub(super) fn overlay(&self, job: &mut Job) {
        let is_own = self.tokens.lock().get(&job.id).map(|known| known.number) == Some(job.attempts);
        if is_own
            && job.state == JobState::Running
            && let Some(progress) = self.live.latest(&job.id)
            && progress.percent > job.progress.percent
        {
            job.progress = progress;
        }
    }

    /// The progress of an attempt that runs here.
    pub(super) fn progress(&self, id: &JobId) -> Option<(u32, Vec<Progress>)> {
        self.live.progress(id)
    }
}
