//! Requests and connections.

use super::registry::Registry;
use super::table::{
    BUILD_INFO, CONNECTIONS, CONNECTIONS_CAPACITY, HTTP_DURATION, HTTP_REQUESTS, JOB_SLOTS,
    QUEUE_CAPACITY, REJECTED,
};
use crate::settings::{Role, Settings};
use axum::extract::{MatchedPath, Request};
use axum::http::{Method, StatusCode};
use metrics::Gauge;
use std::time::Duration;

/// Errors that alerts look for: they are there, as 0, before the first of them.
const EXPECTED: [&str; 4] = [
    "QUEUE_FULL",
    "TOO_MANY_JOBS",
    "STORAGE_UNAVAILABLE",
    "INTERNAL_ERROR",
];

/// Requests and connections.
pub(crate) struct HttpMetrics {
    registry: Registry,
    pub(crate) connections: Gauge,
}

/// What of a request its metrics tell: never its path, of which there is no end.
#[derive(Clone)]
pub(crate) struct Endpoint {
    method: &'static str,
    route: Option<MatchedPath>,
}

impl Endpoint {
    pub(crate) fn of(request: &Request) -> Self {
        Self {
            method: method(request.method()),
            route: request.extensions().get().cloned(),
        }
    }

    fn route(&self) -> &str {
        self.route.as_ref().map_or("none", MatchedPath::as_str)
    }
}

/// A client can make up any method.
fn method(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

impl HttpMetrics {
    pub(super) fn new(registry: Registry, settings: &Settings) -> Self {
        let set = |spec, value: usize| registry.gauge(spec, &[]).set(value as f64);
        set(QUEUE_CAPACITY, settings.max_queue_length.get());
        let slots = match settings.role {
            Role::Api => 0,
            Role::All | Role::Worker => settings.max_concurrent_jobs.get(),
        };
        set(JOB_SLOTS, slots);
        set(CONNECTIONS_CAPACITY, settings.max_connections.get());
        let build = [env!("CARGO_PKG_VERSION"), spinelift_mesh::ALGORITHM_VERSION];
        registry.gauge(BUILD_INFO, &build).set(1.0);
        for code in EXPECTED {
            registry.counter(REJECTED, &[code]).absolute(0);
        }
        Self {
            connections: registry.gauge(CONNECTIONS, &[]),
            registry,
        }
    }

    /// A request is over; without a status its client had gone.
    pub(crate) fn answered(&self, endpoint: &Endpoint, status: Option<StatusCode>, took: Duration) {
        let (method, route) = (endpoint.method, endpoint.route());
        let status = status.as_ref().map_or("gone", StatusCode::as_str);
        let requests = self
            .registry
            .counter(HTTP_REQUESTS, &[method, route, status]);
        requests.increment(1);
        self.registry
            .histogram(HTTP_DURATION, &[method, route])
            .record(took);
    }

    /// A request is answered with an error.
    pub(crate) fn refused(&self, code: &'static str) {
        self.registry.counter(REJECTED, &[code]).increment(1);
    }
}
