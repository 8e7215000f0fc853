//! What runs here at the moment, and who watches it: in memory only, since a crash makes it
//! untrue anyway.

use super::{Claim, Reason, Stop};
use crate::job::{Job, JobId, JobState, Progress};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use tokio::sync::watch;

/// Watchers of jobs that nobody watches any more are looked for beyond this number.
const MANY: usize = 256;

/// The attempts that run in this process, and the watchers of jobs.
#[derive(Default)]
pub(super) struct Live {
    running: RwLock<HashMap<JobId, Attempt>>,
    watched: Mutex<HashMap<JobId, watch::Sender<()>>>,
}

struct Attempt {
    generation: u64,
    number: u32,
    progress: Vec<Progress>,
    stop: Stop,
}

impl Attempt {
    /// Whether it is the attempt that a job was handed out for.
    fn is_at(&self, job: &Job) -> bool {
        self.generation == job.generation && self.number == job.attempts
    }
}

/// Tells of changes of one job or batch.
#[derive(Debug, Clone)]
pub struct Watch(watch::Receiver<()>);

impl Watch {
    /// Waits for a change since this was called last, or since the watch began.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            // Nothing is left that could tell of a change.
            std::future::pending::<()>().await;
        }
    }
}

impl Live {
    pub(super) fn begin(&self, job: Job) -> Claim {
        let stop = Stop::default();
        let attempt = Attempt {
            generation: job.generation,
            number: job.attempts,
            progress: Vec::new(),
            stop: stop.clone(),
        };
        self.running.write().insert(job.id.clone(), attempt);
        self.changed(&job.id);
        Claim { job, stop }
    }

    pub(super) fn report(&self, claim: &Claim, progress: Progress) {
        let id = &claim.job.id;
        match self.running.write().get_mut(id) {
            Some(attempt) if attempt.is_at(&claim.job) => {
                attempt.progress.push(progress);
            }
            _ => return,
        }
        self.changed(id);
    }

    /// An attempt has ended, whatever becomes of the job.
    pub(super) fn end(&self, job: &Job) {
        let mut running = self.running.write();
        if running.get(&job.id).is_some_and(|known| known.is_at(job)) {
            running.remove(&job.id);
        }
        drop(running);
        self.changed(&job.id);
    }

    /// The attempt that runs, if one does, is of no use any more.
    pub(super) fn stop(&self, id: &JobId, generation: u64, reason: Reason) {
        let mut running = self.running.write();
        let is_its = |attempt: &Attempt| attempt.generation == generation;
        if running.get(id).is_some_and(is_its)
            && let Some(attempt) = running.remove(id)
        {
            attempt.stop.because(reason);
        }
        drop(running);
        self.changed(id);
    }

    pub(super) fn progress(&self, id: &JobId) -> Option<(u32, Vec<Progress>)> {
        let running = self.running.read();
        let attempt = running.get(id)?;
        Some((attempt.number, attempt.progress.clone()))
    }

    /// The latest progress of a job that runs here, and the job's generation.
    pub(super) fn latest(&self, id: &JobId) -> Option<(u64, Progress)> {
        let running = self.running.read();
        let attempt = running.get(id)?;
        Some((attempt.generation, attempt.progress.last()?.clone()))
    }

    /// Completes a job as it is stored.
    pub(super) fn overlay(&self, job: &mut Job) {
        overlay(job, self.latest(&job.id));
    }

    pub(super) fn changed(&self, id: &JobId) {
        if let Some(watchers) = self.watched.lock().get(id) {
            watchers.send_replace(());
        }
    }

    /// What somebody watches.
    pub(super) fn watched(&self) -> Vec<JobId> {
        let mut watched = self.watched.lock();
        watched.retain(|_, watchers| watchers.receiver_count() > 0);
        watched.keys().cloned().collect()
    }

    pub(super) fn watch(&self, id: &JobId) -> Watch {
        let mut watched = self.watched.lock();
        if watched.len() >= MANY {
            watched.retain(|_, watchers| watchers.receiver_count() > 0);
        }
        let watchers = watched.entry(id.clone()).or_default();
        Watch(watchers.subscribe())
    }
}

/// Completes a job as it is stored with the [latest](Live::latest) progress under its name.
pub(super) fn overlay(job: &mut Job, latest: Option<(u64, Progress)>) {
    if job.state == JobState::Running
        && let Some((generation, progress)) = latest
        && generation == job.generation
    {
        job.progress = progress;
    }
}
