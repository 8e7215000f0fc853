//! `GET …/mesh/{job_id}/result`: the mesh.

use super::Api;
use crate::error::ApiError;
use crate::job::JobState;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde_json::json;

pub(crate) async fn result(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Response, ApiError> {
    let job = api.job(&id).await?;
    let (JobState::Completed, Some(object)) = (&job.state, &job.result) else {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "JOB_NOT_COMPLETED",
            match job.state {
                JobState::Failed(_) => "The job failed, so it has no result",
                JobState::Cancelled => "The job was cancelled, so it has no result",
                _ => "The job has no result yet",
            },
            json!({ "job_id": job.id.as_str(), "status": job.state.status() }),
        ));
    };
    match api.storage.get_result(object).await {
        Ok(mesh) => Ok(([(CONTENT_TYPE, "application/json")], mesh).into_response()),
        Err(error) if error.is_missing() => Err(ApiError::new(
            StatusCode::GONE,
            "RESULT_GONE",
            "The job completed, but its result has been removed from the storage",
            json!({ "job_id": job.id.as_str() }),
        )),
        Err(error) => {
            tracing::error!(job_id = %job.id, %error, "a result cannot be read");
            Err(ApiError::unavailable(
                "STORAGE_UNAVAILABLE",
                "The result cannot be read at the moment",
                json!({ "job_id": job.id.as_str() }),
            ))
        }
    }
}
