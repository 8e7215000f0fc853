//! What the distributed engine has to do with its server and with other nodes.

use super::registry::Registry;
use super::table;
use metrics::{Counter, Histogram};

/// Counts for the engine in Redis. [`Default`] counts nothing.
#[derive(Clone)]
pub(crate) struct RedisMetrics {
    pub(crate) commands: Histogram,
    pub(crate) failures: Counter,
    pub(crate) reconnections: Counter,
    pub(crate) lost: Counter,
    pub(crate) requeued: Counter,
    /// Jobs that failed because their attempts were spent.
    pub(crate) exhausted: Counter,
}

impl RedisMetrics {
    pub(super) fn new(registry: &Registry, exhausted: &Counter) -> Self {
        let counter = |spec| registry.counter(spec, &[]);
        Self {
            commands: registry.histogram(table::REDIS_COMMANDS, &[]),
            failures: counter(table::REDIS_FAILURES),
            reconnections: counter(table::REDIS_RECONNECTIONS),
            lost: counter(table::ATTEMPTS_LOST),
            requeued: counter(table::JOBS_REQUEUED),
            exhausted: exhausted.clone(),
        }
    }
}

impl Default for RedisMetrics {
    fn default() -> Self {
        Self {
            commands: Histogram::noop(),
            failures: Counter::noop(),
            reconnections: Counter::noop(),
            lost: Counter::noop(),
            requeued: Counter::noop(),
            exhausted: Counter::noop(),
        }
    }
}
