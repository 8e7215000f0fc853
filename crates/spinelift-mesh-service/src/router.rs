//! Which path leads where, and the layers that every request passes.

use crate::access_log::log_request;
use crate::api::{self, Api};
use crate::auth::{Access, require_access};
use crate::client::{Clients, identify_client};
use crate::error::{ApiError, shape_errors};
use crate::overflow::refuse_overflow;
use crate::pages::{Pages, refuse_foreign_pages};
use crate::request_body::account_for_body;
use crate::request_id::identify_request;
use crate::settings::Settings;
use axum::Router;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::any::Any;
use std::sync::Arc;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::limit::RequestBodyLimitLayer;
use tower_http::set_header::SetResponseHeaderLayer;
use tower_http::timeout::{RequestBodyTimeoutLayer, TimeoutLayer};

/// The routes, and the layers around them from the outermost to the innermost.
pub(crate) fn router(api: Api, settings: &Settings) -> Router {
    let clients = Clients::new(settings.api_keys.clone(), &settings.trusted_proxies);
    let access = Access {
        needs_key: !settings.api_keys.is_empty(),
        result_urls: api.result_urls.clone(),
        engine: Arc::clone(&api.engine),
    };
    let layers = ServiceBuilder::new()
        // Whose request it is comes first: all that follows may want to log it.
        .layer(from_fn(identify_request))
        .layer(from_fn_with_state(clients, identify_client))
        // Around everything that answers, so that every answer is logged as it is sent.
        .layer(from_fn_with_state(Arc::clone(&api.metrics), log_request))
        // On every answer. A page, or a result, that has its own keeps it.
        .layer(header(X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .layer(header(REFERRER_POLICY, "no-referrer"))
        .layer(header(
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ))
        .layer(header(CACHE_CONTROL, "no-store"))
        // Answers a browser's preflight itself, which brings no key; and the errors of all that
        // is further in get its headers, else pages could not read them.
        .option_layer(settings.cors_origins.layer())
        // Around all that refuses with a bare status, the panic handler included.
        .layer(from_fn(shape_errors))
        .layer(CatchPanicLayer::custom(panicked))
        // Before a body is read: strangers get no work done, and neither does who came too late.
        .layer(from_fn(refuse_overflow))
        .option_layer(
            Pages::new(settings).map(|pages| from_fn_with_state(pages, refuse_foreign_pages)),
        )
        .layer(from_fn_with_state(access, require_access))
        // These bound what a client sends; a body is read inside them, by the handler.
        .layer(from_fn_with_state(api.memory.clone(), account_for_body))
        .layer(RequestBodyLimitLayer::new(settings.max_request_size.get()))
        .layer(RequestBodyTimeoutLayer::new(settings.body_timeout))
        // The time that an answer takes, which includes the reading of the body.
        .layer(TimeoutLayer::with_status_code(
            StatusCode::REQUEST_TIMEOUT,
            settings.request_timeout,
        ));
    let (mesh, _) = api::routes().split_for_parts();
    let routes = Router::new()
        .route("/health", get(api::health::health))
        .route("/health/live", get(api::health::live))
        .route("/health/ready", get(api::health::ready))
        .route("/metrics", get(api::metrics::metrics))
        .merge(api::described(settings));
    let routes = if settings.api_prefix.is_empty() {
        routes.merge(mesh)
    } else {
        routes.nest(&settings.api_prefix, mesh)
    };
    routes.with_state(api).layer(layers)
}

fn header(name: HeaderName, value: &'static str) -> SetResponseHeaderLayer<HeaderValue> {
    SetResponseHeaderLayer::if_not_present(name, HeaderValue::from_static(value))
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
