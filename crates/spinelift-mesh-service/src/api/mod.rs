//! The endpoints.

mod batch;
mod caller;
mod cancel;
mod delete;
mod deliveries;
mod docs;
mod document;
mod events;
mod export;
mod form;
pub(crate) mod generate;
pub(crate) mod health;
mod held;
mod list;
mod mesh;
pub(crate) mod metrics;
mod openapi;
mod parts;
mod presets;
mod result;
mod routes;
mod status;
mod upload;
mod upload_space;
mod validate;
mod wait;

pub(crate) use caller::IDEMPOTENCY_KEY;
pub(crate) use events::LAST_EVENT_ID;
pub(crate) use held::HeldAnswers;
pub use openapi::document as openapi_document;
pub(crate) use routes::{described, routes};
pub(crate) use upload_space::UploadSpace;

use crate::address::Outbound;
use crate::engine::JobEngine;
use crate::error::ApiError;
use crate::health::Readiness;
use crate::job::{Batch, Job, JobId};
use crate::memory::MemoryBudget;
use crate::metrics::Metrics;
use crate::result_url::ResultUrls;
use crate::storage::Storage;
use crate::worker::{Pace, Uploads};
use axum::http::StatusCode;
pub(crate) use export::Exports;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use tracing::Instrument;

/// What the endpoints work with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) storage: Storage,
    pub(crate) outbound: Outbound,
    pub(crate) result_urls: ResultUrls,
    pub(crate) pace: Arc<Pace>,
    pub(crate) uploads: Arc<Uploads>,
    /// Ends what clients wait for, once the service shuts down.
    pub(crate) draining: CancellationToken,
    /// Bounds what they take on disk.
    pub(crate) upload_space: Arc<UploadSpace>,
    pub(crate) held: Arc<HeldAnswers>,
    pub(crate) max_request_size: usize,
    pub(crate) max_json_size: usize,
    pub(crate) memory: MemoryBudget,
    pub(crate) exports: Exports,
    pub(crate) max_image_bytes: usize,
    pub(crate) max_batch_size: usize,
    pub(crate) request_timeout: Duration,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

/// What an id in a path names.
pub(crate) enum Named {
    Job(Box<Job>),
    Batch(Box<Batch>),
}

impl Named {
    fn generation(&self) -> u64 {
        match self {
            Self::Job(job) => job.generation,
            Self::Batch(batch) => batch.generation,
        }
    }
}

impl Api {
    /// The job or batch in a path.
    async fn named(&self, text: &str) -> Result<Named, ApiError> {
        let Ok(id) = JobId::parse(text) else {
            return Err(not_found(text));
        };
        let found = self.find(&id).await?;
        found.ok_or_else(|| not_found(text))
    }

    async fn find(&self, id: &JobId) -> Result<Option<Named>, ApiError> {
        if let Some(job) = self.engine.get(id).await? {
            return Ok(Some(Named::Job(job.into())));
        }
        let batch = self.engine.batch(id).await?;
        Ok(batch.map(|batch| Named::Batch(batch.into())))
    }
}

/// Does something to its end, though the client may go away: half of it must not be left undone.
async fn to_the_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, ApiError>> + Send + 'static,
) -> Result<T, ApiError> {
    let done = tokio::spawn(work.in_current_span()).await;
    done.map_err(|_| ApiError::internal())?
}

fn not_found(id: &str) -> ApiError {
    let shown: String = id.chars().take(JobId::MAX_LENGTH).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "JOB_NOT_FOUND",
        "There is no job with this id",
        json!({ "job_id": shown }),
    )
}

/// What a process answers that only runs jobs, for all but health and metrics.
pub(crate) async fn only_works() -> ApiError {
    ApiError::new(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        "This process only runs jobs (ROLE=worker): ask one with ROLE=api or all",
        json!({}),
    )
}
