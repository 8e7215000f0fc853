//! `GET …/mesh/{job_id}/status`: how a job or a batch is coming along.

use super::openapi::Id;
use super::{Api, Named};
use crate::error::ApiError;
use crate::job::{Batch, Counts, Job, JobError, JobState};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

/// How a job or a batch stands.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum StatusBody {
    Job(JobStatus),
    Batch(BatchStatus),
}

/// How a job stands.
#[derive(Serialize, ToSchema)]
pub(super) struct JobStatus {
    /// The job.
    #[schema(value_type = Id)]
    job_id: String,
    /// `failed` is also the word for cancelled ones.
    status: Status,
    /// How far the job has come, in percent.
    #[schema(minimum = 0, maximum = 100, example = 70)]
    progress: u8,
    /// What is being done, or why it failed.
    #[schema(example = "Triangulating mesh...")]
    message: String,
    /// The same as `status` in more words.
    state: Stage,
    /// How often the job was started.
    #[schema(minimum = 0, example = 1)]
    attempts: u32,
    /// When it was accepted.
    #[schema(format = DateTime, example = "2025-01-08T10:00:00.000Z")]
    created_at: String,
    /// When it ended.
    #[schema(format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// The batch that it is part of.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    batch_id: Option<String>,
    /// Where the mesh is, once the job is completed.
    #[schema(
        example = "https://mesh.example/api/v1/mesh/hero-1/result",
        nullable = false
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
    /// Whether an earlier job with the same image and parameters had made the mesh, once the job
    /// is completed.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    cached: Option<bool>,
    /// Why there is no mesh, once the job has failed.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobError>,
}

/// How a batch stands.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchStatus {
    /// The batch.
    #[schema(value_type = Id)]
    job_id: String,
    /// `failed` if all of its jobs have.
    status: Status,
    /// The share of its jobs that have ended, in percent.
    #[schema(minimum = 0, maximum = 100, example = 66)]
    progress: u8,
    /// The same in words.
    #[schema(example = "2 of 3 images done, 1 failed")]
    message: String,
    /// How its jobs stand.
    counts: Counts,
    /// When it was accepted.
    #[schema(format = DateTime, example = "2025-01-08T10:00:00.000Z")]
    created_at: String,
    /// When the last of its jobs ended.
    #[schema(format = DateTime, nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    finished_at: Option<String>,
    /// Where the list of its results is, once all of its jobs have ended; the list can be asked
    /// for before.
    #[schema(
        example = "https://mesh.example/api/v1/mesh/hero-1/result",
        nullable = false
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
}

/// The contract's three words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Status {
    Processing,
    Completed,
    Failed,
}

/// Where a job stands, in five words.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = JobState)]
pub(super) enum Stage {
    Queued,
    Running,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub(super) fn of(state: &JobState) -> Self {
        match state {
            JobState::Queued | JobState::Running => Self::Processing,
            JobState::Completed => Self::Completed,
            JobState::Failed(_) | JobState::Cancelled => Self::Failed,
        }
    }

    pub(super) fn of_batch(batch: &Batch) -> Self {
        match batch.status() {
            "processing" => Self::Processing,
            "failed" => Self::Failed,
            _ => Self::Completed,
        }
    }
}

/// How a job or a batch is coming along.
#[utoipa::path(
    get, path = "/mesh/{job_id}/status", tag = "jobs", operation_id = "get_status",
    responses((status = 200, description = "How it stands.", body = StatusBody)),
)]
pub(super) async fn status(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<StatusBody>, ApiError> {
    let named = api.named(&id).await?;
    let base = api.result_urls.base(&headers);
    Ok(Json(api.status_body(&named, &base).await))
}

impl Api {
    /// The status as a client sees it that reached us under `base`.
    pub(super) async fn status_body(&self, named: &Named, base: &str) -> StatusBody {
        match named {
            Named::Job(job) => StatusBody::Job(self.job_status(job, base).await),
            Named::Batch(batch) => StatusBody::Batch(self.batch_status(batch, base)),
        }
    }

    /// Where the result of a job is, if it has one.
    pub(super) async fn result_url(&self, job: &Job, base: &str) -> Option<String> {
        match job.state {
            JobState::Completed => Some(self.result_urls.of_job_under(base, job).await),
            _ => None,
        }
    }

    pub(super) async fn job_status(&self, job: &Job, base: &str) -> JobStatus {
        let completed = job.state == JobState::Completed;
        JobStatus {
            job_id: job.id.to_string(),
            status: Status::of(&job.state),
            progress: job.progress.percent,
            message: job.progress.message.to_string(),
            state: match job.state {
                JobState::Queued => Stage::Queued,
                JobState::Running => Stage::Running,
                JobState::Completed => Stage::Completed,
                JobState::Failed(_) => Stage::Failed,
                JobState::Cancelled => Stage::Cancelled,
            },
            attempts: job.attempts,
            created_at: shown(job.created_at),
            finished_at: job.finished_at.map(shown),
            batch_id: job.batch.as_ref().map(ToString::to_string),
            result_url: self.result_url(job, base).await,
            cached: completed.then_some(job.cached),
            error: job.state.error(),
        }
    }

    fn batch_status(&self, batch: &Batch, base: &str) -> BatchStatus {
        let progress = batch.progress();
        let ended = batch.finished_at.is_some();
        BatchStatus {
            job_id: batch.id.to_string(),
            status: Status::of_batch(batch),
            progress: progress.percent,
            message: progress.message.into_owned(),
            counts: batch.counts,
            created_at: shown(batch.created_at),
            finished_at: batch.finished_at.map(shown),
            result_url: ended.then(|| self.result_urls.of_batch_under(base, batch)),
        }
    }
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
