//! Posting one event to its receiver.

use super::event::Event;
use crate::address::Outbound;
use crate::metrics::CallbackMetrics;
use crate::redacted::RedactedUrl;
use crate::trace::{self, Traces};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{Instrument, Span};

/// Time for one delivery, from connecting to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes of an answer that are read, so that its connection can be used again.
const ANSWER: usize = 64 * 1024;

/// Posts events.
#[derive(Clone)]
pub(super) struct Poster {
    outbound: Outbound,
    metrics: CallbackMetrics,
    traces: Arc<Traces>,
}

/// Why an event was not taken.
#[derive(Debug)]
pub(super) struct NotTaken {
    /// The HTTP status of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// What went wrong.
    pub(super) reason: String,
}

impl NotTaken {
    fn unanswered(reason: impl Into<String>) -> Self {
        Self {
            status: None,
            reason: reason.into(),
        }
    }
}

impl Poster {
    pub(super) fn new(outbound: Outbound, metrics: CallbackMetrics, traces: Arc<Traces>) -> Self {
        Self {
            outbound,
            metrics,
            traces,
        }
    }

    /// Posts an event; the HTTP status with which it was taken.
    pub(super) async fn post(&self, url: &RedactedUrl, event: &Event) -> Result<u16, NotTaken> {
        let began = Instant::now();
        let span = tracing::trace_span!(parent: None, "callback", job_id = event.job_id());
        self.traces.resume(event.job_id(), &span);
        let taken =
            match tokio::time::timeout(TIMEOUT, self.try_post(url, event).instrument(span)).await {
                Ok(result) => result,
                Err(_) => Err(NotTaken::unanswered(format!(
                    "no answer within {} s",
                    TIMEOUT.as_secs()
                ))),
            };
        let counted = taken.as_ref().map(|_| ()).map_err(|error| error.status);
        self.metrics.attempted(counted, began.elapsed());
        taken
    }

    async fn try_post(&self, url: &RedactedUrl, event: &Event) -> Result<u16, NotTaken> {
        let body =
            serde_json::to_vec(event).map_err(|error| NotTaken::unanswered(error.to_string()))?;
        let mut response = self
            .outbound
            .post(url.reveal())
            .map_err(|refused| NotTaken::unanswered(refused.to_string()))?
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .headers(trace::headers(&Span::current()))
            .body(body)
            .send()
            .await
            .map_err(|error| NotTaken::unanswered(describe(&error)))?;
        let status = response.status();
        let mut read = 0;
        while read < ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            read += chunk.len();
        }
        // A redirect is a failure too: it would lead an event to where nobody sent it.
        if status.is_success() {
            Ok(status.as_u16())
        } else {
            Err(NotTaken {
                status: Some(status.as_u16()),
                reason: format!("HTTP status {}", status.as_u16()),
            })
        }
    }
}

/// What went wrong, without the URL that `reqwest` would print.
fn describe(error: &reqwest::Error) -> String {
    match Outbound::refusal(error) {
        Some(refused) => refused.to_string(),
        None if error.is_connect() => "the connection failed".to_owned(),
        None => "the connection broke".to_owned(),
    }
}
