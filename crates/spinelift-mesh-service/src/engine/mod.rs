//! What a durable job queue must do; the engines that do it are the modules below.

mod lanes;
mod live;
mod observed;
mod outbox;
mod queue;
pub mod redis;
mod results;
pub mod sqlite;
mod stop;

pub use lanes::{Lane, Turn};
pub use live::Watch;
pub(crate) use observed::Observed;
pub use outbox::{
    Attempt, Delivery, DeliveryId, DeliveryRecord, DeliveryState, Next, Outbox, Replayed,
};
pub use results::{Owner, ResultIndex, ResultKey, ResultObject, StoredResult};
pub use stop::{Reason, Stop};

use crate::job::{Batch, Job, JobError, JobId, JobRequest, Progress};
use crate::redacted::RedactedUrl;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use std::time::Duration;

/// A durable queue of jobs.
///
/// What every engine guarantees, whatever it stores in:
/// * An answer to [`accept`](JobEngine::accept) comes after the job is safe from a crash.
/// * An attempt is counted, durably, before its job is handed out, so a job that kills the
///   process cannot do so for ever.
/// * A job that was running when its process died is handed out again, or fails once its attempts
///   are spent (at-least-once).
/// * Only the latest attempt at a job can end it, and a job ends once. Once a job is deleted its
///   name may be another's: what was begun for the one counts for nothing to the other, since
///   their [generations](Job::generation) differ.
/// * With the end of a job that has a receiver, or of a batch, a delivery is in the [`Outbox`]:
///   both are stored or neither is.
///
/// An engine is told of progress often and may forget it in a crash; the rest it must not forget.
#[async_trait]
pub trait JobEngine: Outbox + ResultIndex + Send + Sync + 'static {
    /// Stores a new job, or finds the one that has its id already.
    ///
    /// # Errors
    /// [`EngineError`]; nothing was accepted then.
    async fn accept(&self, job: NewJob) -> Result<Accepted, EngineError>;

    /// Stores a new batch and all of its jobs, or finds the one that has its id already.
    ///
    /// # Errors
    /// [`EngineError`]; nothing was accepted then.
    async fn accept_batch(&self, batch: NewBatch) -> Result<AcceptedBatch, EngineError>;

    /// Waits for a job and begins an attempt at it; `None` after
    /// [`stop_claiming`](Self::stop_claiming). The caller begins at once to load its image, and
    /// drops the lane when that is done: so many jobs of one server are loading at most, and the
    /// jobs of other servers do not wait for them.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`]: the job stays queued, and the caller should wait a little.
    async fn claim(&self) -> Result<Option<(Claim, Lane)>, EngineError>;

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

    /// Ends a job that has not ended, wherever it is; who runs it sees [`Claim::stop`]. Of a
    /// batch, all of its jobs. `None` if there is no such job.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn cancel(&self, id: &JobId) -> Result<Option<Cancelled>, EngineError>;

    /// Forgets a job that has ended, and its deliveries; of a batch, all of its jobs. `None` if
    /// there is no such job.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn delete(&self, id: &JobId) -> Result<Option<Deleted>, EngineError>;

    /// Forgets some of the jobs that ended before a time, oldest first.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn expire(&self, before: DateTime<Utc>) -> Result<Expired, EngineError>;

    /// The job of that name.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn get(&self, id: &JobId) -> Result<Option<Job>, EngineError>;

    /// The batch of that name.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn batch(&self, id: &JobId) -> Result<Option<Batch>, EngineError>;

    /// Jobs, newest first.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn list(&self, filter: Filter) -> Result<Page, EngineError>;

    /// All progress of the job's current attempt, with its number, while it runs.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn progress(&self, id: &JobId) -> Result<Option<(u32, Vec<Progress>)>, EngineError>;

    /// Watches a job or batch. Whoever reads its state after this call, and again after each
    /// change, misses nothing.
    fn watch(&self, id: &JobId) -> Watch;

    /// Waits until no other process does the same. An engine that is unavailable lets everybody
    /// go ahead, and the turn of a process that is silent for long ends without its knowing.
    async fn turn(&self, work: &Work) -> Turn;

    /// A secret of 32 random bytes, made the first time it is asked for and the same ever after.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn secret(&self, name: &'static str) -> Result<[u8; 32], EngineError>;

    /// Whether the store can be written and read.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`]: it cannot.
    async fn check(&self) -> Result<(), EngineError>;

    /// How many jobs wait for a worker, and since when the first of them.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn backlog(&self) -> Result<Backlog, EngineError>;

    /// Whether there is room for one more job of a client at the moment, for those who want to know
    /// before they go to expense for it; [`accept`](Self::accept) decides. An engine that cannot
    /// tell says yes.
    ///
    /// # Errors
    /// What `accept` would fail with.
    async fn check_room(&self, _client: &str) -> Result<(), EngineError> {
        Ok(())
    }

    /// Whether no process that runs jobs is alive, as far as this one knows: what it accepts waits.
    fn nobody_works(&self) -> bool {
        false
    }

    /// Hands out no more jobs; accepting goes on.
    fn stop_claiming(&self);

    /// Finishes what was begun and lets go of the store.
    async fn close(&self);
}

/// The bounds of an engine; of what is done at a time, those of this process.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most jobs that may wait.
    pub queue_length: usize,
    /// Most unfinished jobs of one client.
    pub jobs_per_client: usize,
    /// Most jobs that load from one server at a time.
    pub lanes: usize,
    /// Most jobs of one client that load from servers at a time.
    pub client_lanes: usize,
    /// Most deliveries that are made to one receiver at a time.
    pub delivery_lanes: usize,
    /// Most attempts at one job.
    pub attempts: u32,
}

/// A [generation](Job::generation) for a job or batch that is accepted.
fn new_generation() -> u64 {
    fastrand::u64(1..=i64::MAX.unsigned_abs())
}

/// What one process at a time should do.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Work {
    /// Make a result: that is a matter of thrift, as what is made twice does no harm.
    Result(ResultKey),
    /// Store or remove the image of that name that came along with a job.
    Upload(String),
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
    /// Who sends it; there is a bound on the unfinished jobs of each.
    pub client: String,
    /// The id of the request that brings it.
    pub request_id: Option<String>,
}

/// A batch to be accepted.
#[derive(Debug, Clone)]
pub struct NewBatch {
    /// Its name.
    pub id: JobId,
    /// Its jobs, with names of their own and without receivers.
    pub jobs: Vec<(JobId, JobRequest)>,
    /// Where its events are to be sent.
    pub callback_url: Option<RedactedUrl>,
    /// `http://host:port` under which the client reached us.
    pub base_url: String,
    /// Who sends it.
    pub client: String,
    /// The id of the request that brings it.
    pub request_id: Option<String>,
}

impl NewBatch {
    /// What tells it from another under the same name.
    fn fingerprint(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        if let Some(url) = &self.callback_url {
            hash.update(url.reveal().as_str());
        }
        for (id, request) in &self.jobs {
            // Neither an id nor JSON holds a line feed.
            hash.update(format!("\n{id}\n{}", request.to_stored()));
        }
        hash.finalize().into()
    }
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

/// What became of a batch to be accepted.
#[derive(Debug, Clone, PartialEq)]
pub enum AcceptedBatch {
    /// It is stored and will run.
    Created,
    /// The same batch is known under this id already: here it is.
    Existing(Box<Batch>),
    /// This id, the batch's or that of one of its jobs, is taken by something else.
    Conflict(JobId),
}

/// An attempt at a job, held by one worker.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The job; `attempts` is the number of this attempt, and fences it together with the job's
    /// `generation`.
    pub job: Job,
    /// Told when the attempt has become pointless, and why.
    pub stop: Stop,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The result is stored.
    Completed(StoredResult),
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
    /// The [cached](StoredResult::Cached) result is gone: nothing was changed, and the result
    /// must be made anew.
    ResultGone,
}

/// What became of a job to be cancelled.
#[derive(Debug, Clone, PartialEq)]
pub enum Cancelled {
    /// It is cancelled.
    Now,
    /// It had ended before.
    AlreadyEnded,
}

/// What became of a job to be deleted.
#[derive(Debug, Clone, PartialEq)]
pub enum Deleted {
    /// It is gone. Nothing refers to these results any more: their files can be removed.
    Gone(Vec<ResultObject>),
    /// It has not ended.
    Unfinished,
}

/// What [`JobEngine::expire`] did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Expired {
    /// How many jobs and batches are gone; not 0 means that there may be more.
    pub gone: usize,
    /// Results that nothing refers to any more.
    pub unused: Vec<ResultObject>,
}

/// The jobs that wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backlog {
    /// How many.
    pub waiting: usize,
    /// How long the first of them has been waiting.
    pub oldest: Duration,
}

/// Which jobs to list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only those that stand in one of these ways; empty for all.
    pub states: Vec<StateFilter>,
    /// Only those of this batch.
    pub batch: Option<JobId>,
    /// Only those after this place in the list.
    pub after: Option<u64>,
    /// Most of them.
    pub limit: usize,
}

/// How a job stands, for a [`Filter`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum StateFilter {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

/// Part of a list of jobs.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The jobs, newest first.
    pub jobs: Vec<Job>,
    /// The place after the last of them, if there are more.
    pub next: Option<u64>,
}

/// Why an engine could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// Too many jobs wait.
    #[error("the queue is full: MAX_QUEUE_LENGTH lets {limit} wait")]
    QueueFull {
        /// The bound.
        limit: usize,
    },
    /// One client has too many unfinished jobs.
    #[error("this client has {unfinished} unfinished jobs, and {limit} are allowed")]
    ClientQuota {
        /// How many it has.
        unfinished: usize,
        /// The bound.
        limit: usize,
    },
    /// The store cannot be written or read at the moment: the disk is full, the file is locked.
    #[error("the job store is unavailable: {reason}")]
    Unavailable {
        /// What the store said.
        reason: String,
    },
    /// The store is damaged, gone or replaced. Calls can be repeated as if it were
    /// [unavailable](Self::Unavailable), but somebody has to mend it first.
    #[error("the job store is unusable: {reason}")]
    Unusable {
        /// What is wrong and what to do about it, without names of files.
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
