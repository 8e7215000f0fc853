//! The bodies of callbacks.

use crate::clock;
use crate::job::{Batch, Counts, Job, JobError, JobId, JobState, Progress};
use chrono::{DateTime, Timelike, Utc};
use serde::Serialize;

/// The body of a callback.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Event {
    job_id: Box<str>,
    progress: u8,
    message: String,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobError>,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
}

impl Event {
    /// A step begins.
    pub(super) fn progress(id: &JobId, progress: &Progress) -> Self {
        Self {
            job_id: id.as_str().into(),
            progress: progress.percent,
            message: progress.message.to_string(),
            timestamp: python_isoformat(clock::now()),
            status: None,
            result_url: None,
            error: None,
            counts: None,
        }
    }

    /// A job has ended; the same each time it is told. `None` if it has not.
    pub(super) fn ended(job: &Job, result_url: String) -> Option<Self> {
        let finished_at = job.finished_at.filter(|_| job.state.is_final())?;
        let completed = job.state == JobState::Completed;
        Some(Self {
            timestamp: python_isoformat(finished_at),
            status: Some(job.state.status()),
            result_url: completed.then_some(result_url),
            error: job.state.error(),
            ..Self::progress(&job.id, &job.progress)
        })
    }

    /// All jobs of a batch have ended. `None` if they have not.
    pub(super) fn batch_ended(batch: &Batch, result_url: String) -> Option<Self> {
        Some(Self {
            timestamp: python_isoformat(batch.finished_at?),
            status: Some(batch.status()),
            result_url: Some(result_url),
            ..Self::batch_progress(batch)
        })
    }

    /// A job of a batch has ended.
    pub(super) fn batch_progress(batch: &Batch) -> Self {
        Self {
            counts: Some(batch.counts),
            ..Self::progress(&batch.id, &batch.progress())
        }
    }

    /// The job or batch that it tells of.
    pub(super) fn job_id(&self) -> &str {
        &self.job_id
    }

    /// How far the job has come, in percent.
    pub(super) fn percent(&self) -> u8 {
        self.progress
    }
}

/// What Python's `datetime.utcnow().isoformat()` gives: no zone, microseconds unless they are 0.
fn python_isoformat(time: DateTime<Utc>) -> String {
    let format = match time.nanosecond() / 1000 {
        0 => "%Y-%m-%dT%H:%M:%S",
        _ => "%Y-%m-%dT%H:%M:%S%.6f",
    };
    time.format(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_those_of_python() {
        for (nanoseconds, shown) in [
            (123_456_789, "2025-01-08T10:00:00.123456"),
            (1_000, "2025-01-08T10:00:00.000001"),
            (999, "2025-01-08T10:00:00"),
        ] {
            let time = DateTime::from_timestamp(1_736_330_400, nanoseconds).expect("valid");
            assert_eq!(python_isoformat(time), shown);
        }
    }
}
