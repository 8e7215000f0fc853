//! `GET …/mesh/{job_id}/result`: the mesh.

use super::Api;
use crate::error::ApiError;
use crate::job::JobState;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use std::fmt::Write as _;

/// A result never changes, but it may be removed, and then should not be found for days.
const CACHE: &str = "private, max-age=3600";

pub(crate) async fn result(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
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
        Ok(mesh) => Ok(answer(mesh, &headers)),
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

/// The mesh, or that the client has it already.
fn answer(mesh: Bytes, headers: &HeaderMap) -> Response {
    let tag = entity_tag(&mesh);
    let caching = [(ETAG, tag.clone()), (CACHE_CONTROL, CACHE.to_owned())];
    if has(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, "application/json")], mesh).into_response()
}

/// A strong one: the same bytes have the same tag, on every machine.
fn entity_tag(bytes: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(bytes)[..16] {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Whether `If-None-Match` names a tag. A cache may have weakened it on the way.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let listed = values.filter_map(|value| value.to_str().ok());
    listed
        .flat_map(|list| list.split(',').map(str::trim))
        .any(|listed| listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag)
}
