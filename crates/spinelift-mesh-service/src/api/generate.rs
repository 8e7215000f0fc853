//! `POST …/mesh/generate`: accepts a job.

use super::Api;
use crate::client::Client;
use crate::engine::{Accepted, NewJob};
use crate::error::ApiError;
use crate::job::JobState;
use crate::json;
use crate::request::{Invalid, MeshRequest};
use crate::request_id::RequestId;
use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Extension, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tower_http::timeout::TimeoutError;

pub(crate) async fn generate(
    State(api): State<Api>,
    Extension(client): Extension<Client>,
    Extension(request_id): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = read_json(body, api.max_request_size).await?;
    let MeshRequest {
        id,
        request,
        warnings,
    } = MeshRequest::read(&body, api.outbound.policy()).map_err(ApiError::from)?;
    let job = NewJob {
        id: id.clone(),
        request,
        base_url: api.result_urls.base(&headers),
        client: client.to_string(),
        request_id: Some(request_id.to_string()),
    };
    let state = match api.engine.accept(job).await? {
        Accepted::Created => {
            tracing::info!(job_id = %id, "job accepted");
            JobState::Queued
        }
        Accepted::Existing(job) => job.state,
        Accepted::Conflict => return Err(conflict(id.as_str())),
    };
    let estimate = match state.is_final() {
        false => api.pace.estimate(api.engine.backlog().waiting),
        true => 0,
    };
    let mut answer = json!({
        "job_id": id.as_str(),
        "status": state.status(),
        "estimated_time": estimate,
    });
    if !warnings.is_empty() {
        answer["warnings"] = warnings.into();
    }
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// Reads JSON whatever the content type says it is: clients get that header wrong.
async fn read_json(body: Body, limit: usize) -> Result<Value, ApiError> {
    let bytes = to_bytes(body, limit)
        .await
        .map_err(|error| unreadable(&error))?;
    json::read(&bytes).map_err(|error| {
        if error.is_data() {
            return Invalid::too_many_values(json::MAX_VALUES).into();
        }
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "INVALID_JSON",
            format!("The request body is not JSON: {error}"),
            json!({ "line": error.line(), "column": error.column() }),
        )
    })
}

/// The body was longer than allowed, stopped arriving, or broke off.
fn unreadable(error: &axum::Error) -> ApiError {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if cause.is::<TimeoutError>() {
        return ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "BODY_TIMEOUT",
            "The request body stopped arriving for longer than BODY_TIMEOUT allows",
            json!({}),
        );
    }
    let too_large = cause.to_string().contains("length limit exceeded");
    ApiError::of_status(if too_large {
        StatusCode::PAYLOAD_TOO_LARGE
    } else {
        StatusCode::BAD_REQUEST
    })
}

fn conflict(id: &str) -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "JOB_ID_CONFLICT",
        "Another request was accepted under this job_id; use a new id for a new request",
        json!({ "job_id": id }),
    )
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let messages: Vec<_> = invalid
            .0
            .iter()
            .filter_map(|error| error["message"].as_str())
            .collect();
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "VALIDATION_ERROR",
            format!("Invalid request: {}", messages.join("; ")),
            json!({ "errors": invalid.0 }),
        )
    }
}
