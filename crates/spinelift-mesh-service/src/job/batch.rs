//! Many jobs under one name.

use super::{JobId, Progress};
use crate::redacted::RedactedUrl;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// A batch, as an engine knows it. Its jobs are jobs like any other.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Its name; no job has the same.
    pub id: JobId,
    /// Tells it from other batches under the same name: see
    /// [`Job::generation`](super::Job::generation).
    pub generation: u64,
    /// Where its events are to be sent.
    pub callback_url: Option<RedactedUrl>,
    /// `http://host:port` under which the client reached us when it was accepted.
    pub base_url: String,
    /// How its jobs stand.
    pub counts: Counts,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When its last job ended.
    pub finished_at: Option<DateTime<Utc>>,
}

/// How many jobs of a batch have ended, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct Counts {
    /// All of them.
    pub total: u32,
    /// Those with a result.
    pub completed: u32,
    /// Those without, cancelled ones included.
    pub failed: u32,
}

impl Counts {
    /// Those that have ended.
    #[must_use]
    pub fn ended(&self) -> u32 {
        self.completed + self.failed
    }
}

impl Batch {
    /// The contract's word for how it stands. A batch has failed if all of its jobs have.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self.counts {
            counts if counts.ended() < counts.total => "processing",
            Counts { completed: 0, .. } => "failed",
            _ => "completed",
        }
    }

    /// The share of its jobs that have ended.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let Counts { total, failed, .. } = self.counts;
        let ended = self.counts.ended();
        let share = u64::from(ended) * 100 / u64::from(total.max(1));
        let failures = match failed {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        Progress {
            percent: u8::try_from(share).unwrap_or(100),
            message: format!("{ended} of {total} images done{failures}").into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(total: u32, completed: u32, failed: u32) -> Batch {
        Batch {
            id: JobId::parse("b").expect("valid"),
            generation: 1,
            callback_url: None,
            base_url: String::new(),
            counts: Counts {
                total,
                completed,
                failed,
            },
            created_at: Utc::now(),
            finished_at: None,
        }
    }

    #[test]
    fn a_batch_stands_as_its_jobs_do() {
        for (counts, status, percent, message) in [
            ((3, 0, 0), "processing", 0, "0 of 3 images done"),
            ((3, 1, 1), "processing", 66, "2 of 3 images done, 1 failed"),
            ((3, 1, 2), "completed", 100, "3 of 3 images done, 2 failed"),
            ((3, 0, 3), "failed", 100, "3 of 3 images done, 3 failed"),
        ] {
            let batch = batch(counts.0, counts.1, counts.2);
            assert_eq!(batch.status(), status);
            let progress = batch.progress();
            assert_eq!((progress.percent, &*progress.message), (percent, message));
        }
    }
}
