//! The endpoints.

pub(crate) mod generate;
pub(crate) mod health;
pub(crate) mod metrics;
pub(crate) mod result;
pub(crate) mod status;

use crate::address::Outbound;
use crate::engine::JobEngine;
use crate::error::ApiError;
use crate::health::Readiness;
use crate::job::{Job, JobId};
use crate::metrics::Metrics;
use crate::result_url::ResultUrls;
use crate::storage::Storage;
use crate::worker::Pace;
use axum::http::StatusCode;
use serde_json::json;
use std::sync::Arc;

/// What the endpoints work with.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) storage: Storage,
    pub(crate) outbound: Outbound,
    pub(crate) result_urls: ResultUrls,
    pub(crate) pace: Arc<Pace>,
    pub(crate) max_request_size: usize,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) readiness: Arc<Readiness>,
}

impl Api {
    /// The job in a path.
    async fn job(&self, id: &str) -> Result<Job, ApiError> {
        let found = match JobId::parse(id) {
            Ok(id) => self.engine.get(&id).await?,
            Err(_) => None,
        };
        found.ok_or_else(|| {
            let shown: String = id.chars().take(JobId::MAX_LENGTH).collect();
            ApiError::new(
                StatusCode::NOT_FOUND,
                "JOB_NOT_FOUND",
                "There is no job with this id",
                json!({ "job_id": shown }),
            )
        })
    }
}
