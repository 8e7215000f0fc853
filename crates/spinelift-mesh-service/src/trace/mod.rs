//! Which trace a request belongs to (W3C `traceparent`), and how it goes on in its job and its
//! callbacks. Who exports traces is up to the program: without the feature `otlp`, or a
//! `tracing-opentelemetry` layer, nothing here does anything.

#[cfg(feature = "otlp")]
mod otlp;

#[cfg(feature = "otlp")]
pub(crate) use otlp::{Traces, headers, join};

/// The target of spans that come every few seconds, which nobody wants to be told of.
pub(crate) const ROUTINE: &str = "spinelift_mesh_service::routine";

#[cfg(not(feature = "otlp"))]
pub(crate) use none::{Traces, headers, join};

#[cfg(not(feature = "otlp"))]
mod none {
    use axum::http::HeaderMap;
    use tracing::Span;

    #[derive(Default)]
    pub(crate) struct Traces(());

    impl Traces {
        pub(crate) fn note(&self, _: &str, _: &Span) {}
        pub(crate) fn resume(&self, _: &str, _: &Span) {}
    }

    pub(crate) fn join(_: &Span, _: &HeaderMap) {}

    pub(crate) fn headers(_: &Span) -> HeaderMap {
        HeaderMap::new()
    }
}
