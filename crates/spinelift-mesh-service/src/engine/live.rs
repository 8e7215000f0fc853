//! What runs here at the moment, and who watches it: in memory only, since a crash makes it
//! untrue anyway.

use super::Claim;
use crate::job::{Job, JobId, JobState, Progress};
use parking_lot::{Mutex, RwLock};
use std::collections::HashMap;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Watchers of jobs that nobody watches any more are looked for beyond this number.
const MANY: usize = 256;

/// The attempts that run in this process, and the watchers of jobs.
#[derive(Default)]
pub(super) struct Live {
    running: RwLock<HashMap<JobId, Attempt>>,
    watched: Mutex<HashMap<JobId, watch::Sender<()>>>,
}

struct Attempt {
    number: u32,
    progress: Vec<Progress>,
    stop: CancellationToken,
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
        let stop = CancellationToken::new();
        let attempt = Attempt {
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
            Some(attempt) if attempt.number == claim.job.attempts => {
                attempt.progress.push(progress);
            }
            _ => return,
        }
        self.changed(id);
    }

    /// An attempt has ended, whatever becomes of the job.
    pub(super) fn end(&self, id: &JobId, attempt: u32) {
        let mut running = self.running.write();
        if running.get(id).is_some_and(|known| known.number == attempt) {
            running.remove(id);
        }
        drop(running);
        self.changed(id);
    }

    /// The job has ended without the attempt that runs, if one does.
    pub(super) fn stop(&self, id: &JobId) {
        if let Some(attempt) = self.running.write().remove(id) {
            attempt.stop.cancel();
        }
        self.changed(id);
    }

    pub(super) fn progress(&self, id: &JobId) -> Option<(u32, Vec<Progress>)> {
        let running = self.running.read();
        let attempt = running.get(id)?;
        Some((attempt.number, attempt.progress.clone()))
    }

    /// The latest progress of a job that runs here.
    pub(super) fn latest(&self, id: &JobId) -> Option<Progress> {
        self.running.read().get(id)?.progress.last().cloned()
    }

    /// Completes a job as it is stored.
    pub(super) fn overlay(&self, job: &mut Job) {
        if job.state == JobState::Running
            && let Some(progress) = self.latest(&job.id)
        {
            job.progress = progress;
        }
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
