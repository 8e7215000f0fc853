//! Every metric: its name, kind, labels and meaning. What is exposed and what is documented both
//! come from here.

use std::fmt::Write;

/// One metric, for its `HELP` and `TYPE` and for the documentation.
#[derive(Debug, Clone, Copy)]
pub struct MetricSpec {
    /// Its name.
    pub name: &'static str,
    /// What it measures with.
    pub kind: Kind,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// What it means.
    pub meaning: &'static str,
}

/// What a metric measures with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// It goes up and down.
    Gauge,
    /// A histogram of times.
    Seconds,
    /// A histogram of sizes.
    Bytes,
}

impl Kind {
    /// The word for it in an exposition.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Seconds | Self::Bytes => "histogram",
        }
    }

    /// The upper bounds of a histogram's buckets; none of others.
    pub(super) fn buckets(self) -> &'static [f64] {
        match self {
            Self::Counter | Self::Gauge => &[],
            // 1 ms to 10 min: from a small sprite to the default JOB_TIMEOUT.
            Self::Seconds => &[
                0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0,
                60.0, 120.0, 300.0, 600.0,
            ],
            // 1 KiB to 64 MiB, in steps of four.
            Self::Bytes => &[
                1024.0,
                4096.0,
                16_384.0,
                65_536.0,
                262_144.0,
                1_048_576.0,
                4_194_304.0,
                16_777_216.0,
                67_108_864.0,
            ],
        }
    }
}

/// Makes of the table below the constants, by which the code names a metric, and the list.
macro_rules! metrics {
    ($($constant:ident = $kind:ident $name:literal [$($label:literal),*] $meaning:literal;)*) => {
        $(pub(crate) const $constant: MetricSpec = MetricSpec {
            name: $name,
            kind: Kind::$kind,
            labels: &[$($label),*],
            meaning: $meaning,
        };)*

        /// All metrics, in the order of the documentation.
        pub const METRICS: &[MetricSpec] = &[$($constant),*];
    };
}

metrics! {
    QUEUE_JOBS = Gauge "spinelift_queue_jobs" []
        "Jobs that wait for a worker. Nodes that share jobs all tell the same: take the largest.";
    QUEUE_CAPACITY = Gauge "spinelift_queue_capacity_jobs" []
        "Jobs that may wait: MAX_QUEUE_LENGTH. Nodes that share jobs all tell the same: take the largest.";
    QUEUE_OLDEST = Gauge "spinelift_queue_oldest_age_seconds" []
        "How long the job that has waited longest has been waiting; 0 if none waits. Nodes that share jobs all tell the same: take the largest.";
    QUEUE_WAIT = Seconds "spinelift_queue_wait_seconds" []
        "Time from a job's acceptance to its first attempt.";

    JOBS_ACCEPTED = Counter "spinelift_jobs_accepted_total" []
        "Jobs that were accepted, each job of a batch counted.";
    JOBS_COMPLETED = Counter "spinelift_jobs_completed_total" ["result"]
        "Jobs that completed: their result was made, or cached.";
    JOBS_FAILED = Counter "spinelift_jobs_failed_total" ["code"]
        "Jobs that failed, by the code of their error.";
    JOBS_CANCELLED = Counter "spinelift_jobs_cancelled_total" []
        "Jobs that were cancelled.";
    JOBS_RUNNING = Gauge "spinelift_jobs_running" []
        "Jobs that workers have, those that load their image included.";
    JOB_SLOTS = Gauge "spinelift_job_slots" []
        "Jobs that may run with their image: MAX_CONCURRENT_JOBS, or 0 with ROLE=api.";
    JOB_DURATION = Seconds "spinelift_job_duration_seconds" ["outcome"]
        "Time of the attempt that ended a job: completed, cached or failed.";
    STAGE_DURATION = Seconds "spinelift_stage_duration_seconds" ["stage"]
        "Time of one stage of a job: download (or reading an upload), wait_same (another job makes the same result), wait_slot (for a slot), wait_core (for a core), the steps of the pipeline, store, and record.";
    IMAGE_BYTES = Bytes "spinelift_image_bytes" []
        "Size of the images that were loaded.";

    DOWNLOADS = Gauge "spinelift_downloads_in_progress" []
        "Images that are being loaded.";
    SOURCE_FAILURES = Counter "spinelift_source_failures_total" ["reason"]
        "Images that could not be loaded after all tries, by reason.";
    BLOCKED = Counter "spinelift_blocked_hosts_total" ["reason"]
        "Hosts of images and callbacks that were refused: not_public, or metadata services of clouds. A request is checked when it comes, and its hosts again when they are connected to.";

    CACHE_REQUESTS = Counter "spinelift_result_cache_requests_total" ["result"]
        "Lookups in the result cache: hit or miss.";

    UNDELIVERED = Gauge "spinelift_callbacks_undelivered" []
        "Final callbacks that wait for their time or turn. Nodes that share jobs tell all that wait for their time, and of those that wait for their turn their own: take the largest.";
    CALLBACKS = Counter "spinelift_callback_attempts_total" ["outcome"]
        "Attempts to deliver a callback: delivered, rejected (answered with another status than 2xx) or unanswered.";
    CALLBACK_DURATION = Seconds "spinelift_callback_duration_seconds" []
        "Time of an attempt to deliver a callback.";

    REDIS_COMMANDS = Seconds "spinelift_redis_command_duration_seconds" []
        "Time of a command to Redis, its repetitions included; with JOB_BACKEND=redis.";
    REDIS_FAILURES = Counter "spinelift_redis_failures_total" []
        "Commands to Redis that failed, all repetitions included.";
    REDIS_RECONNECTIONS = Counter "spinelift_redis_reconnections_total" []
        "Connections to Redis that were made because the one before had broken.";
    ATTEMPTS_LOST = Counter "spinelift_attempts_lost_total" []
        "Attempts at jobs that this node had to give up because their lease was over, or the job had ended.";
    JOBS_REQUEUED = Counter "spinelift_jobs_requeued_total" []
        "Jobs that wait again because the node that ran them was silent for JOB_LEASE, told by the node that found it out.";

    HTTP_REQUESTS = Counter "spinelift_http_requests_total" ["method", "route", "status"]
        "Requests that are over, by the template of their route (none: no such path); status gone: the client left before the answer.";
    HTTP_DURATION = Seconds "spinelift_http_request_duration_seconds" ["method", "route"]
        "Time from the head of a request to the last byte of its answer.";
    REJECTED = Counter "spinelift_http_errors_total" ["code"]
        "Requests that were answered with an error, by its code: QUEUE_FULL, TOO_MANY_JOBS, ...";
    CONNECTIONS = Gauge "spinelift_http_connections" []
        "Open connections.";
    CONNECTIONS_CAPACITY = Gauge "spinelift_http_connections_capacity" []
        "Connections that may be open: MAX_CONNECTIONS.";

    BUILD_INFO = Gauge "spinelift_build_info" ["version", "algorithm"]
        "Always 1; the labels say what runs.";
    PROCESS_MEMORY = Gauge "process_resident_memory_bytes" []
        "Resident memory (Linux).";
    PROCESS_CPU = Counter "process_cpu_seconds_total" []
        "Processor time, user and system, in whole seconds (Linux).";
    PROCESS_FDS = Gauge "process_open_fds" []
        "Open file descriptors (Linux).";
    PROCESS_MAX_FDS = Gauge "process_max_fds" []
        "Most file descriptors that may be open (Linux).";
    PROCESS_START = Gauge "process_start_time_seconds" []
        "When the process started, in seconds since 1970 (Linux).";
}

/// The metrics as a Markdown table.
#[must_use]
pub fn documentation() -> String {
    let mut text =
        String::from("| Metric | Type | Labels | Meaning |\n| --- | --- | --- | --- |\n");
    for spec in METRICS {
        let labels: Vec<_> = spec.labels.iter().map(|name| format!("`{name}`")).collect();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            spec.name,
            spec.kind.name(),
            labels.join(", "),
            spec.meaning
        );
    }
    text
}
