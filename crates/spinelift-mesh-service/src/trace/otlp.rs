//! Traces, with OpenTelemetry.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use opentelemetry::Context;
use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator};
use opentelemetry::trace::{SpanContext, TraceContextExt};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt;

/// The traces of so many jobs are known. Of older ones, and after a restart, jobs begin their own.
const MOST: usize = 10_000;

/// The traces of the latest jobs and batches, by id.
#[derive(Default)]
pub(crate) struct Traces(Mutex<Known>);

#[derive(Default)]
struct Known {
    traces: HashMap<String, SpanContext>,
    order: VecDeque<String>,
}

impl Traces {
    /// What follows for this id belongs below a span.
    pub(crate) fn note(&self, id: &str, span: &Span) {
        let context = span.context().span().span_context().clone();
        if !context.is_valid() {
            return;
        }
        let mut known = self.0.lock();
        if known.traces.insert(id.to_owned(), context).is_some() {
            return;
        }
        known.order.push_back(id.to_owned());
        if known.order.len() > MOST
            && let Some(oldest) = known.order.pop_front()
        {
            known.traces.remove(&oldest);
        }
    }

    /// Puts a new span where what follows for this id belongs.
    pub(crate) fn resume(&self, id: &str, span: &Span) {
        let context = self.0.lock().traces.get(id).cloned();
        if let Some(context) = context {
            // An error means that nobody exports this span.
            let _ = span.set_parent(Context::new().with_remote_span_context(context));
        }
    }
}

/// Puts a new span into the trace that the headers of a request name, if they do.
pub(crate) fn join(span: &Span, headers: &HeaderMap) {
    let context = TraceContextPropagator::new().extract(&Incoming(headers));
    if context.span().span_context().is_valid() {
        // An error means that nobody exports this span.
        let _ = span.set_parent(context);
    }
}

/// The headers that put what a receiver does below a span; none if nobody exports it.
pub(crate) fn headers(span: &Span) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let context = span.context();
    if context.span().span_context().is_valid() {
        TraceContextPropagator::new().inject_context(&context, &mut Outgoing(&mut headers));
    }
    headers
}

struct Incoming<'a>(&'a HeaderMap);

impl Extractor for Incoming<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key)?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.keys().map(HeaderName::as_str).collect()
    }
}

struct Outgoing<'a>(&'a mut HeaderMap);

impl Injector for Outgoing<'_> {
    fn set(&mut self, key: &str, value: String) {
        // An empty `tracestate` says nothing.
        if let (Ok(name), Ok(value)) = (key.parse::<HeaderName>(), HeaderValue::from_str(&value))
            && !value.is_empty()
        {
            self.0.insert(name, value);
        }
    }
}
