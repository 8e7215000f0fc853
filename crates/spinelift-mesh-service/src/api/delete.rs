//! `DELETE …/mesh/{job_id}`: forgets a job that has ended.

use super::{Api, not_found, to_the_end};
use crate::engine::Deleted;
use crate::error::ApiError;
use crate::fault;
use crate::job::JobId;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde_json::json;

/// Forgets a job or batch that has ended, with its results and deliveries.
#[utoipa::path(
    delete, path = "/mesh/{job_id}", tag = "jobs", operation_id = "delete_job",
    responses((status = 204, description = "It is gone.")),
)]
pub(super) async fn delete(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<StatusCode, ApiError> {
    to_the_end(async move { api.delete(&id).await }).await
}

/// The endpoint for jobs whose names are those of other endpoints.
pub(super) async fn delete_named<const NAME: usize>(
    State(api): State<Api>,
) -> Result<StatusCode, ApiError> {
    to_the_end(async move { api.delete(ENDPOINTS[NAME]).await }).await
}

/// The other endpoints beside `/mesh/{job_id}`.
pub(super) const ENDPOINTS: [&str; 3] = ["generate", "upload", "batch"];

impl Api {
    async fn delete(&self, id: &str) -> Result<StatusCode, ApiError> {
        let deleted = match JobId::parse(id) {
            Ok(id) => self.engine.delete(&id).await?,
            Err(_) => None,
        };
        match deleted {
            Some(Deleted::Gone(unused)) => {
                fault::point("deleted").await;
                self.storage.remove_results(&unused).await;
                tracing::info!(job_id = id, "deleted");
                Ok(StatusCode::NO_CONTENT)
            }
            Some(Deleted::Unfinished) => Err(ApiError::new(
                StatusCode::CONFLICT,
                "JOB_NOT_FINISHED",
                "The job has not ended; cancel it first",
                json!({ "job_id": id }),
            )),
            None => Err(not_found(id)),
        }
    }
}
