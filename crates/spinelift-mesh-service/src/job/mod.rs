//! A job: what was asked for, and how far it has come.

mod batch;
mod error;
mod id;
mod request;

pub use batch::{Batch, Counts};
pub use error::JobError;
pub use id::{InvalidJobId, JobId};
pub use request::{JobRequest, Source};

use crate::engine::ResultObject;
use chrono::{DateTime, Utc};
use spinelift_mesh::Step;
use std::borrow::Cow;

/// How far a job has come, in the words of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// What is being done.
    pub message: Cow<'static, str>,
}

impl Progress {
    /// Waiting for a worker.
    pub const QUEUED: Progress = Progress {
        percent: 0,
        message: Cow::Borrowed("Queued"),
    };

    /// Taken by a worker; no step has begun.
    pub const STARTED: Progress = Progress {
        percent: 0,
        message: Cow::Borrowed("Starting..."),
    };
}

impl From<Step> for Progress {
    fn from(step: Step) -> Self {
        Progress {
            percent: step.percent(),
            message: Cow::Borrowed(step.message()),
        }
    }
}

/// Where a job stands.
#[derive(Debug, Clone, PartialEq)]
pub enum JobState {
    /// Accepted, waiting for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// The result is stored.
    Completed,
    /// There will be no result.
    Failed(JobError),
    /// There will be no result, because somebody said so.
    Cancelled,
}

impl JobState {
    /// The contract's word for it; waiting and running are one to clients, and so are failed and
    /// cancelled: existing ones know no fourth word.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            JobState::Queued | JobState::Running => "processing",
            JobState::Completed => "completed",
            JobState::Failed(_) | JobState::Cancelled => "failed",
        }
    }

    /// Whether it will never change again.
    #[must_use]
    pub fn is_final(&self) -> bool {
        !matches!(self, JobState::Queued | JobState::Running)
    }

    /// Why there is no result, if that is certain.
    #[must_use]
    pub fn error(&self) -> Option<JobError> {
        match self {
            JobState::Failed(error) => Some(error.clone()),
            JobState::Cancelled => Some(JobError::cancelled()),
            JobState::Queued | JobState::Running | JobState::Completed => None,
        }
    }
}

/// One job, as an engine knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// Tells it from other jobs that had the same name before, or will once it is deleted: a
    /// number that no other job or batch ever has, below 2^63.
    pub generation: u64,
    /// What it is to do.
    pub request: JobRequest,
    /// `http://host:port` under which the client reached us when it was accepted.
    pub base_url: String,
    /// Who sent it.
    pub client: String,
    /// The id of the request that brought it.
    pub request_id: Option<String>,
    /// The batch that it is part of.
    pub batch: Option<JobId>,
    /// Where it stands.
    pub state: JobState,
    /// How far it has come.
    pub progress: Progress,
    /// How often it was started.
    pub attempts: u32,
    /// Where its result is, once it is completed.
    pub result: Option<ResultObject>,
    /// Whether the result had been made by another job before.
    pub cached: bool,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}
