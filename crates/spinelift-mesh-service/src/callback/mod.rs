//! Callbacks: telling a receiver how its job (`line`) or batch (`batch`) is coming along, and how
//! it ended (`outbox`).
//!
//! Progress is told once and may be skipped; the end is durable and told until it is taken.

mod batch;
mod event;
mod lanes;
mod line;
mod outbox;
mod panic;
mod post;
mod retry;
mod signature;

pub(crate) use batch::BatchLine;
pub(crate) use line::CallbackLine;
pub(crate) use outbox::Dispatcher;
pub(crate) use retry::Retries;
pub use signature::WebhookSecrets;

use crate::address::Outbound;
use crate::job::{Job, JobId};
use crate::metrics::CallbackMetrics;
use crate::redacted::RedactedUrl;
use crate::trace::Traces;
use batch::BatchLines;
use event::Event;
use lanes::Lanes;
use line::Delivery;
use parking_lot::Mutex;
use post::Poster;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Sends callbacks.
#[derive(Clone)]
pub(crate) struct Callbacks {
    poster: Poster,
    lanes: Arc<Lanes>,
    lines: Arc<Lines>,
    batches: Arc<BatchLines>,
}

/// The jobs whose progress is being told: their end waits for that.
#[derive(Default)]
struct Lines {
    open: Mutex<HashMap<JobId, watch::Receiver<()>>>,
}

impl Callbacks {
    /// With the settings `WEBHOOK_SECRETS` and `CALLBACK_TIMEOUT`.
    pub(crate) fn new(
        outbound: Outbound,
        secrets: WebhookSecrets,
        timeout: Duration,
        metrics: CallbackMetrics,
        traces: Arc<Traces>,
    ) -> Self {
        Self {
            poster: Poster {
                outbound,
                secrets,
                timeout,
                metrics,
                traces,
            },
            lanes: Arc::new(Lanes::new()),
            lines: Arc::default(),
            batches: Arc::default(),
        }
    }

    /// Opens the line to the receiver of a job's events, if it has one.
    pub(crate) fn open(&self, job: &Job) -> CallbackLine {
        let sender = job.request.callback_url.clone().map(|url| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let delivery = Delivery {
                poster: self.poster.clone(),
                lane: self.lanes.to(&url),
                job_id: job.id.clone(),
                url,
            };
            let (done, open) = watch::channel(());
            self.lines.open.lock().insert(job.id.clone(), open);
            let (lines, id) = (Arc::clone(&self.lines), job.id.clone());
            tokio::spawn(async move {
                delivery.run(receiver).await;
                let mut open = lines.open.lock();
                // A later attempt at the job may have a line of its own.
                if open
                    .get(&id)
                    .is_some_and(|line| line.same_channel(&done.subscribe()))
                {
                    open.remove(&id);
                }
            });
            sender
        });
        CallbackLine {
            job_id: job.id.clone(),
            sender,
        }
    }

    /// Keeps the line to the receiver of a job's batch open, if the job is part of one.
    pub(crate) fn open_batch(&self, job: &Job) -> Option<BatchLine> {
        BatchLine::open(self, job)
    }

    /// Waits until the progress of a job or batch has been told, or given up.
    async fn told(&self, id: &JobId) {
        let line = self.lines.open.lock().get(id).cloned();
        if let Some(mut line) = line {
            // An error means that the line has ended: what is waited for.
            while line.changed().await.is_ok() {}
        }
        self.batches.told(id).await;
    }
}

/// Progress was not delivered, and will not be: there is news meanwhile.
fn not_told(id: &JobId, url: &RedactedUrl, event: &Event, reason: &str) {
    tracing::warn!(
        job_id = %id, %url, progress = event.percent(), reason,
        "a callback was not delivered"
    );
}
