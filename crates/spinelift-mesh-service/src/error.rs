//! Errors of the HTTP API, all in the shape of the contract.

use crate::engine::EngineError;
use axum::Json;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use std::time::Duration;

/// An answer other than 2xx: `{"error": {"code", "message", "details"}}`.
#[derive(Debug, Clone)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    details: Value,
    retry_after: Option<Duration>,
}

/// The code of the error that a response tells, in its extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ErrorCode(pub(crate) &'static str);

/// When to come back after "not now": long enough for a queue to move or a disk to be tidied.
const RETRY_AFTER_SECONDS: u64 = 5;

impl ApiError {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        message: impl Into<String>,
        details: Value,
    ) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            details,
            retry_after: None,
        }
    }

    /// Whether it is answered with this status.
    pub(crate) fn is_of(&self, status: StatusCode) -> bool {
        self.status == status
    }

    pub(crate) fn unavailable(
        code: &'static str,
        message: impl Into<String>,
        details: Value,
    ) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, message, details).come_back_later()
    }

    /// The same, with the time after which another try may succeed.
    pub(crate) fn come_back_later(self) -> Self {
        Self {
            retry_after: Some(Duration::from_secs(RETRY_AFTER_SECONDS)),
            ..self
        }
    }

    pub(crate) fn internal() -> Self {
        Self::of_status(StatusCode::INTERNAL_SERVER_ERROR)
    }

    /// The error for a job that was to be accepted: its client wants to know whether it was.
    pub(crate) fn not_accepted(error: EngineError) -> Self {
        let refused = Self::from(error);
        let message = match refused.code {
            "STORAGE_UNAVAILABLE" => "Jobs cannot be stored at the moment; nothing was accepted",
            "SHUTTING_DOWN" => "The service is shutting down; nothing was accepted",
            _ => return refused,
        };
        Self {
            message: message.to_owned(),
            ..refused
        }
    }

    /// The error for a status that a layer or the router answered with, bodiless or in plain text.
    pub(crate) fn of_status(status: StatusCode) -> Self {
        let (code, message) = match status {
            StatusCode::NOT_FOUND => ("NOT_FOUND", "There is nothing at this path"),
            StatusCode::METHOD_NOT_ALLOWED => (
                "METHOD_NOT_ALLOWED",
                "This path does not know the method; see the Allow header",
            ),
            StatusCode::PAYLOAD_TOO_LARGE => (
                "PAYLOAD_TOO_LARGE",
                "The request body is larger than MAX_REQUEST_SIZE allows",
            ),
            StatusCode::REQUEST_TIMEOUT => (
                "REQUEST_TIMEOUT",
                "The request took longer than REQUEST_TIMEOUT allows",
            ),
            status if status.is_client_error() => ("BAD_REQUEST", "The request is malformed"),
            _ => (
                "INTERNAL_ERROR",
                "The request failed because of a defect in the service; it has been logged",
            ),
        };
        Self::new(status, code, message, json!({}))
    }
}

impl From<EngineError> for ApiError {
    fn from(error: EngineError) -> Self {
        match &error {
            EngineError::QueueFull { limit } => Self::unavailable(
                "QUEUE_FULL",
                error.to_string(),
                json!({ "max_queue_length": limit }),
            ),
            EngineError::ClientQuota { unfinished, limit } => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "TOO_MANY_JOBS",
                format!("{error} (MAX_JOBS_PER_CLIENT); wait for some to end, or cancel them"),
                json!({ "unfinished": unfinished, "max_jobs_per_client": limit }),
            )
            .come_back_later(),
            EngineError::Unavailable { .. } | EngineError::Unusable { .. } => {
                tracing::error!(%error, "the job store is unavailable");
                // The reason names files and stays in the log.
                Self::unavailable(
                    "STORAGE_UNAVAILABLE",
                    "Jobs cannot be read or changed at the moment; try again later",
                    json!({}),
                )
            }
            EngineError::Damaged { .. } => {
                tracing::error!(%error, "a job cannot be read");
                Self::internal()
            }
            EngineError::Closed => Self::unavailable(
                "SHUTTING_DOWN",
                "The service is shutting down; try again later",
                json!({}),
            ),
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = json!({
            "error": { "code": self.code, "message": self.message, "details": self.details }
        });
        let mut response = (self.status, Json(body)).into_response();
        response.extensions_mut().insert(ErrorCode(self.code));
        if let Some(delay) = self.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
        }
        response
    }
}

/// Gives the contract's shape to every error that was made elsewhere: by the router (404, 405),
/// by a layer (408, 413) or by an extractor. Their headers, such as `Allow`, are kept.
pub(crate) async fn shape_errors(request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let is_json = response
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|value| value == "application/json");
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let mut shaped = ApiError::of_status(status).into_response();
    for (name, value) in response.headers() {
        if !shaped.headers().contains_key(name) && name != axum::http::header::CONTENT_LENGTH {
            shaped.headers_mut().insert(name, value.clone());
        }
    }
    shaped
}
