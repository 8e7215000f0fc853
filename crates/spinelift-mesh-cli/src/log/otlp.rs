//! Traces over OTLP, as protobuf over HTTP.

use crate::failure::Problem;
use opentelemetry::KeyValue;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::SdkTracerProvider;
use spinelift_mesh_service::Settings;
use std::time::Duration;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, filter};

/// Either says that traces are to be exported, and where; the exporter reads them and the other
/// standard variables itself.
const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];

/// Where spans come from that are to be exported.
const SERVICE: &str = "spinelift_mesh_service";

/// Health checks and scrapes, which are not.
const ROUTINE: &str = "spinelift_mesh_service::routine";

/// How long the exit waits for the collector.
const FLUSH: Duration = Duration::from_secs(2);

/// Sends spans in batches, from a thread of its own. What the collector does not take is dropped.
#[derive(Debug)]
pub(super) struct Exporter(SdkTracerProvider);

impl Exporter {
    /// None if the environment names no collector.
    pub(super) fn start(settings: &Settings) -> Result<Option<Self>, Problem> {
        let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if !ENDPOINTS.iter().any(is_set) {
            return Ok(None);
        }
        // An error means that there is a provider already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let exporter = SpanExporter::builder()
            .with_http()
            .with_protocol(Protocol::HttpBinary)
            .build()
            .map_err(|error| {
                Problem::new(
                    "WRONG_SETTING",
                    format!("traces cannot be exported: {error}"),
                    format!("Change or unset {}.", ENDPOINTS.join(" and ")),
                )
            })?;
        let resource = Resource::builder()
            .with_service_name(settings.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .build();
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource)
            .build();
        Ok(Some(Self(provider)))
    }

    /// What puts spans into it: whatever the log's filter says, all spans of the service, and its
    /// lines as their events.
    pub(super) fn layer<S>(&self) -> impl Layer<S> + Send + Sync + use<S>
    where
        S: tracing::Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.0.tracer("spinelift-mesh"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(filter::filter_fn(
                is_exported as fn(&tracing::Metadata<'_>) -> bool,
            ))
    }

    /// Sends what is left.
    pub(super) fn finish(self) {
        // The collector is slow or gone: nothing that would help anybody now.
        let _ = self.0.shutdown_with_timeout(FLUSH);
    }
}

fn is_exported(metadata: &tracing::Metadata<'_>) -> bool {
    metadata.target().starts_with(SERVICE)
        && metadata.target() != ROUTINE
        && (metadata.is_span() || *metadata.level() <= tracing::Level::INFO)
}
