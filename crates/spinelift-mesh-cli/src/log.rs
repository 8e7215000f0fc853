//! What the service tells of itself: a log on standard error, and traces to a collector where the
//! environment names one.

#[cfg(feature = "otlp")]
mod otlp;

use crate::failure::Problem;
use spinelift_mesh_service::Settings;
use spinelift_mesh_service::settings::LogFormat;
use std::io::{self, IsTerminal as _};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer, Registry};

#[cfg(feature = "otlp")]
use otlp::Exporter;

/// Nothing can be exported.
#[cfg(not(feature = "otlp"))]
#[derive(Debug)]
enum Exporter {}

/// The log, until it is finished.
#[derive(Debug)]
#[must_use = "what has not been exported is lost unless it is finished"]
pub(crate) struct Log(Option<Exporter>);

/// A log on standard error, for people or as JSON.
pub(crate) fn start(settings: &Settings) {
    tracing_subscriber::registry().with(lines(settings)).init();
}

/// The log, and traces if `OTEL_EXPORTER_OTLP_ENDPOINT` or its variant for traces is set. To be
/// called outside of a runtime.
#[cfg(feature = "otlp")]
pub(crate) fn start_with_traces(settings: &Settings) -> Result<Log, Problem> {
    let Some(exporter) = Exporter::start(settings)? else {
        start(settings);
        return Ok(Log(None));
    };
    tracing_subscriber::registry()
        .with(lines(settings))
        .with(exporter.layer())
        .init();
    Ok(Log(Some(exporter)))
}

/// The log; this program exports no traces.
#[cfg(not(feature = "otlp"))]
pub(crate) fn start_with_traces(settings: &Settings) -> Result<Log, Problem> {
    start(settings);
    Ok(Log(None))
}

impl Log {
    /// Exports what is left, for a short while.
    pub(crate) fn finish(self) {
        match self.0 {
            #[cfg(feature = "otlp")]
            Some(exporter) => exporter.finish(),
            #[cfg(not(feature = "otlp"))]
            Some(exporter) => match exporter {},
            None => {}
        }
    }
}

fn lines(settings: &Settings) -> Box<dyn Layer<Registry> + Send + Sync> {
    // The settings have been read, so the filter is a valid one.
    let filter = EnvFilter::new(settings.log_filter());
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    match settings.log_format {
        LogFormat::Json => lines.json().with_filter(filter).boxed(),
        LogFormat::Text => lines.with_target(false).with_filter(filter).boxed(),
    }
}
