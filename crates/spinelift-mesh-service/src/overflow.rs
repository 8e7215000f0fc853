//! Connections beyond `MAX_CONNECTIONS`, in which health checks are answered and nothing else.
//!
//! Which ones those are is known only when their head has been read. So when no connection has ended
//! for a moment, a few more are accepted to be read and answered at once.

use crate::auth::is_health_check;
use crate::error::ApiError;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::time::Duration;

/// How many there are.
pub(crate) const RESERVE: usize = 16;

/// How long a new connection waits for another one to end.
pub(crate) const PATIENCE: Duration = Duration::from_millis(250);

/// How long a client may take to say what it wants.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(1);

/// Marks the requests of such connections, in their extensions.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Overflow;

/// Answers them, but for health checks, itself.
pub(crate) async fn refuse_overflow(request: Request, next: Next) -> Response {
    let is_overflow = request.extensions().get::<Overflow>().is_some();
    if !is_overflow || is_health_check(request.uri().path()) {
        return next.run(request).await;
    }
    ApiError::unavailable(
        "TOO_MANY_CONNECTIONS",
        "As many connections are open as MAX_CONNECTIONS allows, and none of them ends",
        json!({}),
    )
    .into_response()
}
