//! `GET /health`, `/health/live`, `/health/ready`.

use super::Api;
use crate::clock;
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

/// The process is alive. It asks nothing else, so it never lies about that.
pub(crate) async fn health() -> Json<Value> {
    Json(json!({
        "status": "healthy",
        "version": env!("CARGO_PKG_VERSION"),
        "timestamp": clock::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }))
}

/// The same for orchestrators: whoever gets no answer may restart the process.
pub(crate) async fn live() -> Json<Value> {
    Json(json!({ "status": "alive" }))
}

/// Whether requests should be sent here.
pub(crate) async fn ready(State(api): State<Api>) -> (StatusCode, Json<Value>) {
    let report = api.readiness.report().await;
    let (code, status) = match report.is_ready {
        true => (StatusCode::OK, "ready"),
        false => (StatusCode::SERVICE_UNAVAILABLE, "not_ready"),
    };
    (
        code,
        Json(json!({ "status": status, "checks": report.checks })),
    )
}
