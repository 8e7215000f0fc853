//! The attempts that this node makes, and the tokens by which the server knows them.

use crate::engine::live::{Live, overlay};
use crate::engine::{Claim, Reason};
use crate::job::{Job, JobId, Progress};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};

/// What runs here, and who watches what.
#[derive(Default)]
pub(super) struct Held {
    pub(super) live: Live,
    attempts: Mutex<HashMap<JobId, Attempt>>,
    /// The last tokens that were lost without being held, and why: their attempts may be about to
    /// begin.
    lost: Mutex<VecDeque<(String, Reason)>>,
}

/// How many of them are remembered.
const LOST: usize = 1000;

struct Attempt {
    generation: u64,
    number: u32,
    token: String,
}

impl Attempt {
    fn is_at(&self, job: &Job) -> bool {
        (self.generation, self.number) == (job.generation, job.attempts)
    }
}

impl Held {
    pub(super) fn begin(&self, job: Job, token: String) -> Claim {
        let attempt_token = token.clone();
        let attempt = Attempt {
            generation: job.generation,
            number: job.attempts,
            token,
        };
        let mut attempts = self.attempts.lock();
        if let Some(earlier) = attempts.insert(job.id.clone(), attempt) {
            // Its lease ended, and the job came to this very node once more.
            self.live
                .stop(&job.id, earlier.generation, Reason::LeaseOver);
        }
        let lost = self.lost_reason(&attempt_token);
        let claim = self.live.begin(job);
        drop(attempts);
        if let Some(reason) = lost {
            self.lose(&claim.job.id, &attempt_token, reason);
        }
        claim
    }

    /// Why an attempt that is about to begin was lost already.
    fn lost_reason(&self, token: &str) -> Option<Reason> {
        let lost = self.lost.lock();
        let known = lost.iter().find(|(lost, _)| lost == token);
        known.map(|(_, reason)| *reason)
    }

    /// The token of an attempt, as long as it is held.
    pub(super) fn token(&self, claim: &Claim) -> Option<String> {
        let attempts = self.attempts.lock();
        let attempt = attempts.get(&claim.job.id)?;
        attempt.is_at(&claim.job).then(|| attempt.token.clone())
    }

    /// An attempt is over.
    pub(super) fn end(&self, claim: &Claim) {
        let mut attempts = self.attempts.lock();
        if attempts
            .get(&claim.job.id)
            .is_some_and(|known| known.is_at(&claim.job))
        {
            attempts.remove(&claim.job.id);
        }
        drop(attempts);
        self.live.end(&claim.job);
    }

    /// An attempt counts for nothing any more: whoever makes it is told to stop. Whether it was
    /// still held.
    pub(super) fn lose(&self, id: &JobId, token: &str, reason: Reason) -> bool {
        let mut attempts = self.attempts.lock();
        let known = attempts.get(id).filter(|known| known.token == token);
        let Some(generation) = known.map(|known| known.generation) else {
            let mut lost = self.lost.lock();
            lost.truncate(LOST - 1);
            lost.push_front((token.to_owned(), reason));
            return false;
        };
        attempts.remove(id);
        drop(attempts);
        self.live.stop(id, generation, reason);
        true
    }

    pub(super) fn count(&self) -> usize {
        self.attempts.lock().len()
    }

    /// All of them, with their tokens.
    pub(super) fn all(&self) -> Vec<(JobId, String)> {
        let attempts = self.attempts.lock();
        let all = attempts.iter();
        all.map(|(id, attempt)| (id.clone(), attempt.token.clone()))
            .collect()
    }

    /// Completes a job as the server knows it: what this node has just reported may be on its way.
    pub(super) fn overlay(&self, job: &mut Job) {
        let is_own = self
            .attempts
            .lock()
            .get(&job.id)
            .is_some_and(|known| known.is_at(job));
        let latest = self.live.latest(&job.id);
        let is_news = |made: &Progress| made.percent > job.progress.percent;
        if is_own && latest.as_ref().is_some_and(|(_, made)| is_news(made)) {
            overlay(job, latest);
        }
    }

    /// How far a job that runs here has come, in percent.
    pub(super) fn percent(&self, id: &JobId) -> u8 {
        self.live.latest(id).map_or(0, |(_, made)| made.percent)
    }
}
