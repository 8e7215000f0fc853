//! One job, from its image to its result.

mod ending;
mod making;

use super::cpu::CpuSlots;
use super::flight::Flights;
use super::pace::Pace;
use super::reporter::Reporter;
use super::uploads::Uploads;
use crate::callback::Callbacks;
use crate::engine::{Claim, Fenced, JobEngine, Lane, Reason, ResultKey};
use crate::health::Activity;
use crate::job::{Job, JobError};
use crate::memory::MemoryBudget;
use crate::metrics::{Held, Metrics};
use crate::source::Sources;
use crate::stopwatch::{Stopwatch, TimeIsUp};
use crate::storage::{Draft, Storage};
use crate::trace::Traces;
use serde_json::json;
use spinelift_mesh::Limits;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tracing::Instrument;

/// Pause between tries at storing a result, or at recording the end of a job: as long as the
/// store is unavailable the job has not ended.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long a shutdown waits for a result that is to be removed.
const DISCARDING: Duration = Duration::from_secs(5);

/// All that running a job takes.
pub(crate) struct Runner {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) sources: Sources,
    pub(crate) memory: MemoryBudget,
    pub(crate) storage: Storage,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) callbacks: Callbacks,
    pub(crate) cpu: CpuSlots,
    /// Room for jobs that have their image.
    pub(crate) slots: Semaphore,
    pub(crate) flights: Flights<ResultKey>,
    pub(crate) limits: Limits,
    /// How long a job may work.
    pub(crate) timeout: Duration,
    pub(crate) pace: Arc<Pace>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) traces: Arc<Traces>,
    /// Whether results of other jobs may be used.
    pub(crate) caches: bool,
}

/// What an attempt at a job goes along with.
struct Attempt<'a> {
    claim: &'a Claim,
    reporter: Arc<Reporter>,
    stopwatch: Stopwatch,
    /// Kept by who may drop the attempt, and then has to remove what it stored.
    draft: &'a mut Option<Draft>,
}

impl Runner {
    /// Runs a job to its end, gives it back as soon as `abandon` says so, or drops it when it is
    /// cancelled.
    pub(crate) async fn run(&self, claim: &Claim, lane: Lane, mut abandon: watch::Receiver<bool>) {
        let job = &claim.job;
        let span = tracing::info_span!(
            "job",
            job_id = %job.id,
            attempt = job.attempts,
            request_id = job.request_id,
        );
        self.traces.resume(job.id.as_str(), &span);
        self.traces.note(job.id.as_str(), &span);
        let _running = Held::new(&self.metrics.jobs.running);
        self.activity.note();
        let abandoned = async {
            // An error means that the workers are gone: the same thing.
            let _ = abandon.wait_for(|abandoned| *abandoned).await;
        };
        let mut draft = None;
        tokio::select! {
            // A job that was cancelled before its worker came to it does not begin at all.
            biased;
            reason = claim.stop.told() => {
                say_why(job, reason);
                self.tidy(job, draft).await;
            }
            () = self.to_the_end(claim, lane, &mut draft).instrument(span) => {
                self.tidy(job, draft).await;
            }
            () = abandoned => self.give_back(claim, draft).await,
        }
        self.activity.note();
    }

    /// Ends a job whose run panicked outside of the mesh library.
    pub(crate) async fn end_after_panic(&self, claim: &Claim) {
        let error = Err(JobError::internal());
        self.end(claim, error, 0, Duration::ZERO).await;
        self.tidy(&claim.job, None).await;
    }

    /// The draft is left to the caller, unless the index has it.
    async fn to_the_end(&self, claim: &Claim, lane: Lane, draft: &mut Option<Draft>) {
        let began = Instant::now();
        let stopwatch = Stopwatch::start(self.timeout);
        let mut attempt = Attempt {
            claim,
            reporter: Arc::new(Reporter::new(&self.engine, &self.callbacks, claim)),
            stopwatch: stopwatch.clone(),
            draft,
        };
        // The end of a job that was cancelled does not wait for a line that is opened later, so
        // nothing may be told on it.
        if claim.stop.is_told() {
            return;
        }
        let (mut lane, mut reuse) = (Some(lane), self.caches);
        loop {
            let make = self.make(&mut attempt, lane.take(), reuse);
            let made = match stopwatch.bound(make).await {
                Ok(made) => made,
                Err(TimeIsUp) => Err(timed_out(self.timeout)),
            };
            let (percent, is_made) = (attempt.reporter.last().percent, made.is_ok());
            match self.end(claim, made, percent, began.elapsed()).await {
                // Removed between the lookup and the record: rare, and made anew.
                Fenced::ResultGone if reuse => reuse = false,
                Fenced::Recorded if is_made => {
                    *attempt.draft = None;
                    return;
                }
                _ => return,
            }
        }
    }
}

/// Why an attempt is dropped.
fn say_why(job: &Job, reason: Reason) {
    match reason {
        Reason::Cancelled => tracing::info!(job_id = %job.id, "job cancelled while it ran"),
        Reason::LeaseOver => tracing::warn!(
            job_id = %job.id,
            "an attempt was dropped: this node was silent for longer than JOB_LEASE, and the job \
             is its own no longer"
        ),
        Reason::Gone => tracing::warn!(
            job_id = %job.id,
            "an attempt was dropped: the job is gone from the store"
        ),
    }
}

fn timed_out(limit: Duration) -> JobError {
    let seconds = limit.as_secs_f64();
    JobError::new(
        "JOB_TIMEOUT",
        format!("The job did not end within {seconds} s"),
        json!({ "job_timeout": seconds }),
    )
}
