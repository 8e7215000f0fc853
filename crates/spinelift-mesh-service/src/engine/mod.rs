//! What a durable job queue must do; the engines that do it are the modules below.

pub mod sqlite;

use crate::job::{Job, JobError, JobId, JobRequest, Progress};
use async_trait::async_trait;

/// A durable queue of jobs.
///
/// What every engine guarantees, whatever it stores in:
/// * An answer to [`accept`](JobEngine::accept) comes after the job is safe from a crash.
/// * An attempt is counted, durably, before its job is handed out, so a job that kills the
///   process cannot do so for ever.
/// * A job that was running when its process died is handed out again, or fails once its attempts
///   are spent (at-least-once).
/// * Only the latest attempt at a job can end it.
///
/// An engine is told of progress often and may forget it in a crash; the rest it must not forget.
#[async_trait]
pub trait JobEngine: Send + Sync + 'static {
    /// Stores a new job, or finds the one that has its id already.
    ///
    /// # Errors
    /// [`EngineError`]; nothing was accepted then.
    async fn accept(&self, job: NewJob) -> Result<Accepted, EngineError>;

    /// Waits for a job and begins an attempt at it; `None` after
    /// [`stop_claiming`](Self::stop_claiming). The caller has room to run it at once.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`]: the job stays queued, and the caller should wait a little.
    async fn claim(&self) -> Result<Option<Claim>, EngineError>;

    /// Takes note of progress. Returns at once: it is called from the computation itself.
    fn report(&self, claim: &Claim, progress: Progress);

    /// Ends an attempt and its job, durably.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`]: the job is still running, the call can be repeated.
    async fn finish(&self, claim: &Claim, outcome: Outcome) -> Result<Fenced, EngineError>;

    /// Gives a job back unfinished, as if the attempt had never been made: the process is
    /// shutting down, and that is not the job's fault.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`]: the job counts as interrupted by a crash.
    async fn release(&self, claim: &Claim) -> Result<Fenced, EngineError>;

    /// The job of that name.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn get(&self, id: &JobId) -> Result<Option<Job>, EngineError>;

    /// How many jobs wait for a worker.
    fn waiting(&self) -> usize;

    /// Hands out no more jobs; accepting goes on.
    fn stop_claiming(&self);

    /// Finishes what was begun and lets go of the store.
    async fn close(&self);
}

/// A job to be accepted.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// What it is to do.
    pub request: JobRequest,
    /// `http://host:port` under which the client reached us.
    pub base_url: String,
}

/// What became of a job to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub enum Accepted {
    /// It is stored and will run.
    Created,
    /// The same request is known under this id already: here is its job.
    Existing(Box<Job>),
    /// Another request is known under this id.
    Conflict,
}

/// An attempt at a job, held by one worker.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// The job; `attempts` is the number of this attempt, and what fences it.
    pub job: Job,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The result is stored.
    Completed,
    /// There will be none.
    Failed {
        /// Why.
        error: JobError,
        /// The progress in percent that had been made.
        percent: u8,
    },
}

/// Whether the end of an attempt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fenced {
    /// It was the latest attempt: its end is recorded.
    Recorded,
    /// A later attempt exists, or the job has ended: nothing was changed.
    Superseded,
}

/// Why an engine could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Too many jobs wait.
    #[error("the queue is full: {limit} jobs are waiting")]
    QueueFull {
        /// The bound.
        limit: usize,
    },
    /// The store cannot be written or read at the moment: the disk is full, the file is locked.
    #[error("the job store is unavailable: {reason}")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// What is stored of this one job cannot be understood; the others are not affected.
    #[error("the job is damaged in the store: {reason}")]
    Damaged {
        /// What is wrong with it.
        reason: String,
    },
    /// The engine was closed.
    #[error("the job engine is closed")]
    Closed,
}
