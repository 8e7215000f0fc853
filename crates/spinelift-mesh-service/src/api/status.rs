//! `GET …/mesh/{job_id}/status`: how a job is coming along.

use super::Api;
use crate::error::ApiError;
use crate::job::JobState;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use chrono::SecondsFormat;
use serde_json::{Value, json};

pub(crate) async fn status(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, ApiError> {
    let job = api.job(&id).await?;
    let mut answer = json!({
        "job_id": job.id.as_str(),
        "status": job.state.status(),
        "progress": job.progress.percent,
        "message": job.progress.message,
        "attempts": job.attempts,
        "created_at": job.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
    });
    if let Some(finished) = job.finished_at {
        answer["finished_at"] = finished.to_rfc3339_opts(SecondsFormat::Millis, true).into();
    }
    if job.state == JobState::Completed {
        let base = api.result_urls.base(&headers);
        answer["result_url"] = api.result_urls.under(&base, &job.id).into();
        answer["cached"] = job.cached.into();
    }
    if let Some(error) = job.state.error() {
        answer["error"] = json!(error);
    }
    Ok(Json(answer))
}
