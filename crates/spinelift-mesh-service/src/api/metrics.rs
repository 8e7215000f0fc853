//! `GET /metrics`: everything that is counted and timed, in the text format of Prometheus.

use super::Api;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;

const TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn metrics(State(api): State<Api>) -> impl IntoResponse {
    (
        [(CONTENT_TYPE, TEXT)],
        api.metrics.scrape(api.engine.as_ref()).await,
    )
}
