//! What the service counts and times, for `GET /metrics`.

mod gauge;
mod http;
mod process;
mod registry;
mod stages;
mod table;

pub(crate) use gauge::Held;
pub(crate) use http::{Endpoint, HttpMetrics};
pub(crate) use registry::Series;
pub(crate) use stages::{Stages, Steps};
pub use table::{Kind, METRICS, MetricSpec, documentation};

use crate::address::Refused;
use crate::engine::JobEngine;
use crate::job::JobError;
use crate::settings::Settings;
use metrics::{Counter, Gauge, Histogram};
use metrics_exporter_prometheus::PrometheusHandle;
use process::Process;
use registry::Registry;
use std::sync::Arc;
use std::time::Duration;

/// All metrics of one service.
pub(crate) struct Metrics {
    handle: PrometheusHandle,
    pub(crate) jobs: JobMetrics,
    pub(crate) stages: Stages,
    pub(crate) sources: SourceMetrics,
    pub(crate) cache: CacheMetrics,
    pub(crate) callbacks: CallbackMetrics,
    pub(crate) http: HttpMetrics,
    at_scrape: AtScrape,
}

/// Jobs, from their acceptance to their end.
pub(crate) struct JobMetrics {
    pub(crate) accepted: Counter,
    pub(crate) completed: Series<Counter>,
    pub(crate) failed: Series<Counter>,
    pub(crate) cancelled: Counter,
    pub(crate) running: Gauge,
    pub(crate) queue_wait: Histogram,
    pub(crate) duration: Series<Histogram>,
}

/// Images and where they come from.
pub(crate) struct SourceMetrics {
    pub(crate) downloads: Gauge,
    pub(crate) bytes: Histogram,
    failures: Series<Counter>,
    pub(crate) blocked: Blocked,
}

impl SourceMetrics {
    /// An image could not be loaded.
    pub(crate) fn failed(&self, error: &JobError) {
        let reason = error.details["reason"].as_str().unwrap_or_default();
        self.failures.of(reason).increment(1);
    }
}

/// Hosts that were refused. [`Default`] counts nothing.
#[derive(Debug, Clone)]
pub(crate) struct Blocked {
    not_public: Counter,
    metadata: Counter,
}

impl Blocked {
    pub(crate) fn count(&self, refused: &Refused) {
        let counter = match refused {
            Refused::NotPublic { .. } => &self.not_public,
            Refused::Metadata { .. } => &self.metadata,
        };
        counter.increment(1);
    }
}

impl Default for Blocked {
    fn default() -> Self {
        Self {
            not_public: Counter::noop(),
            metadata: Counter::noop(),
        }
    }
}

/// The result cache.
pub(crate) struct CacheMetrics {
    hits: Counter,
    misses: Counter,
}

impl CacheMetrics {
    pub(crate) fn looked_up(&self, found: bool) {
        let counter = if found { &self.hits } else { &self.misses };
        counter.increment(1);
    }
}

/// Deliveries of callbacks.
#[derive(Clone)]
pub(crate) struct CallbackMetrics {
    attempts: Series<Counter>,
    duration: Histogram,
}

impl CallbackMetrics {
    /// An attempt is over: `Err` holds the status that it was answered with, if it was.
    pub(crate) fn attempted(&self, taken: Result<(), Option<u16>>, took: Duration) {
        let outcome = match taken {
            Ok(()) => "delivered",
            Err(Some(_)) => "rejected",
            Err(None) => "unanswered",
        };
        self.attempts.of(outcome).increment(1);
        self.duration.record(took);
    }
}

/// What is looked up only when somebody asks.
struct AtScrape {
    queue: Gauge,
    oldest: Gauge,
    undelivered: Gauge,
    process: Process,
}

/// The codes of failed jobs.
const CODES: &[&str] = &[
    "IMAGE_LOAD_FAILED",
    "CONTOUR_EXTRACTION_FAILED",
    "TRIANGULATION_FAILED",
    "INVALID_PARAMETERS",
    "JOB_TIMEOUT",
    "ATTEMPTS_EXHAUSTED",
    "MEMORY_BUDGET_EXCEEDED",
    "INTERNAL_ERROR",
];

/// Why images cannot be loaded: `reason` in the details of `IMAGE_LOAD_FAILED`.
const REASONS: &[&str] = &[
    "http_status",
    "timeout",
    "connect",
    "connection_broken",
    "malformed_answer",
    "wrong_length",
    "content_encoding",
    "unknown_format",
    "empty",
    "memory_budget",
    "too_many_bytes",
    "too_many_redirects",
    "redirect_scheme",
    "address_not_allowed",
    "s3_error",
    "upload_gone",
];

impl Metrics {
    pub(crate) fn new(settings: &Settings) -> Arc<Self> {
        let registry = Registry::new();
        let gauge = |spec| registry.gauge(spec, &[]);
        let counter = |spec, value| registry.counter(spec, &[value]);
        let metrics = Self {
            handle: registry.handle(),
            jobs: JobMetrics {
                accepted: registry.counter(table::JOBS_ACCEPTED, &[]),
                completed: registry.counters(table::JOBS_COMPLETED, &["made", "cached"]),
                failed: registry.counters(table::JOBS_FAILED, CODES),
                cancelled: registry.counter(table::JOBS_CANCELLED, &[]),
                running: gauge(table::JOBS_RUNNING),
                queue_wait: registry.histogram(table::QUEUE_WAIT, &[]),
                duration: registry
                    .histograms(table::JOB_DURATION, &["completed", "cached", "failed"]),
            },
            stages: Stages::new(&registry),
            sources: SourceMetrics {
                downloads: gauge(table::DOWNLOADS),
                bytes: registry.histogram(table::IMAGE_BYTES, &[]),
                failures: registry.counters(table::SOURCE_FAILURES, REASONS),
                blocked: Blocked {
                    not_public: counter(table::BLOCKED, "not_public"),
                    metadata: counter(table::BLOCKED, "metadata"),
                },
            },
            cache: CacheMetrics {
                hits: counter(table::CACHE_REQUESTS, "hit"),
                misses: counter(table::CACHE_REQUESTS, "miss"),
            },
            callbacks: CallbackMetrics {
                attempts: registry
                    .counters(table::CALLBACKS, &["delivered", "rejected", "unanswered"]),
                duration: registry.histogram(table::CALLBACK_DURATION, &[]),
            },
            at_scrape: AtScrape {
                queue: gauge(table::QUEUE_JOBS),
                oldest: gauge(table::QUEUE_OLDEST),
                undelivered: gauge(table::UNDELIVERED),
                process: Process::new(&registry),
            },
            http: HttpMetrics::new(registry, settings),
        };
        Arc::new(metrics)
    }

    /// Everything, in the text format of Prometheus. What an engine that is unavailable does not
    /// tell stays as it was.
    pub(crate) async fn scrape(&self, engine: &dyn JobEngine) -> String {
        if let Ok(backlog) = engine.backlog().await {
            self.at_scrape.queue.set(backlog.waiting as f64);
            self.at_scrape.oldest.set(backlog.oldest.as_secs_f64());
        }
        if let Ok(undelivered) = engine.undelivered().await {
            self.at_scrape.undelivered.set(undelivered as f64);
        }
        self.at_scrape.process.update();
        self.handle.render()
    }

    /// Puts what was timed into its buckets, again and again: until then each sample is kept, and
    /// nobody may ever scrape.
    pub(crate) async fn keep_small(self: Arc<Self>) {
        loop {
            tokio::time::sleep(UPKEEP).await;
            self.handle.run_upkeep();
        }
    }
}

const UPKEEP: Duration = Duration::from_secs(5);
