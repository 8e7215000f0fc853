//! Which path leads where, and the layers that every request passes.

use crate::api::{self, Api};
use crate::error::{ApiError, shape_errors};
use crate::settings::Settings;
use axum::Router;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use std::any::Any;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::request_id::{
    MakeRequestId, PropagateRequestIdLayer, RequestId, SetRequestIdLayer,
};
use tower_http::timeout::TimeoutLayer;
use tower_http::trace::TraceLayer;
use tracing::Span;

/// The routes, and the layers around them from the outermost to the innermost.
pub(crate) fn router(api: Api, settings: &Settings) -> Router {
    let layers = ServiceBuilder::new()
        .layer(SetRequestIdLayer::x_request_id(UniqueId))
        .layer(TraceLayer::new_for_http().make_span_with(span))
        .layer(PropagateRequestIdLayer::x_request_id())
        .layer(from_fn(shape_errors))
        .layer(CatchPanicLayer::custom(panicked))
        .layer(RequestBodyLimitLayer::new(settings.max_request_size.get()))
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            settings.request_timeout,
        ));
    let mesh = Router::new()
        .route("/mesh/generate", post(api::generate::generate))
        .route("/mesh/{job_id}/status", get(api::status::status))
        .route("/mesh/{job_id}/result", get(api::result::result));
    let routes = Router::new().route("/health", get(api::health::health));
    let routes = if settings.api_prefix.is_empty() {
        routes.merge(mesh)
    } else {
        routes.nest(&settings.api_prefix, mesh)
    };
    routes.with_state(api).layer(layers)
}

/// Ids for requests that come without one.
#[derive(Clone, Copy)]
struct UniqueId;

impl MakeRequestId for UniqueId {
    fn make_request_id<B>(&mut self, _: &axum::http::Request<B>) -> Option<RequestId> {
        let id = uuid::Uuid::now_v7().to_string().parse().ok()?;
        Some(RequestId::new(id))
    }
}

/// The span of a request. Queries stay out of it: none are expected, and they may hold secrets.
fn span(request: &Request) -> Span {
    let id = request.headers().get("x-request-id");
    let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
    tracing::info_span!(
        "request",
        request_id = id,
        method = %request.method(),
        path = request.uri().path(),
    )
}

fn panicked(payload: Box<dyn Any + Send>) -> Response {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    tracing::error!(
        panic = text.unwrap_or("no message"),
        "a request handler panicked"
    );
    ApiError::internal().into_response()
}
