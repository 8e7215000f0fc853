//! `GET /health`: the process is alive. It asks nothing else, so it never lies about that.

use axum::Json;
use chrono::Utc;
use serde_json::{Value, json};

pub(crate) async fn health() -> Json<Value> {
    Json(json!({
        "status": "healthy",
        "version": env!("CARGO_PKG_VERSION"),
        "timestamp": Utc::now().format("%Y-%m-%dT%H:%M:%SZ").to_string(),
    }))
}
