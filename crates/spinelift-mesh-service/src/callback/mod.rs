//! Callbacks: telling a receiver how its job is coming along.

mod lanes;

use crate::address::Outbound;
use crate::job::{Job, JobError, JobId, Progress};
use crate::redacted::RedactedUrl;
use chrono::{DateTime, Timelike, Utc};
use lanes::{Lane, Lanes};
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::sync::watch;

/// Time for one delivery, from connecting to the end of the answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// A delivery that takes longer than this, or fails, lets progress that has become stale
/// meanwhile be skipped.
const SLOW: Duration = Duration::from_secs(1);

/// How long an event waits for its turn. Events of jobs that end faster than their receiver
/// answers would otherwise pile up without bound.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most bytes of an answer that are read, so that its connection can be used again.
const ANSWER: usize = 64 * 1024;

/// Sends callbacks.
#[derive(Clone)]
pub(crate) struct Callbacks {
    outbound: Outbound,
    lanes: Arc<Lanes>,
    /// Each delivering task holds a receiver: [`idle`](Callbacks::idle) waits for the last.
    open: watch::Sender<()>,
}

impl Callbacks {
    pub(crate) fn new(outbound: Outbound) -> Self {
        Self {
            outbound,
            lanes: Arc::new(Lanes::new()),
            open: watch::Sender::new(()),
        }
    }

    /// Opens the line to the receiver of a job's events, if it has one.
    pub(crate) fn open(&self, job: &Job) -> CallbackLine {
        let sender = job.request.callback_url.clone().map(|url| {
            let (sender, receiver) = mpsc::unbounded_channel();
            let delivery = Delivery {
                outbound: self.outbound.clone(),
                lane: self.lanes.to(url.reveal()),
                job_id: job.id.clone(),
                url,
                _open: self.open.subscribe(),
            };
            tokio::spawn(delivery.run(receiver));
            sender
        });
        CallbackLine {
            job_id: job.id.clone(),
            sender,
        }
    }

    /// Waits until all that was sent has been delivered, or been given up.
    pub(crate) async fn idle(&self) {
        self.open.closed().await;
    }
}

/// How a job ended, as its last callback tells it.
pub(crate) enum Final {
    /// With a result at this URL.
    Completed { result_url: String },
    /// Without one.
    Failed { error: JobError },
}

/// The events of one job, in order. Sending never waits: a job makes at most nine, so the line
/// cannot grow long.
pub(crate) struct CallbackLine {
    job_id: JobId,
    sender: Option<UnboundedSender<Event>>,
}

impl CallbackLine {
    /// Tells of a step that begins.
    pub(crate) fn progress(&self, progress: &Progress) {
        self.send(progress, None);
    }

    /// Tells how the job ended. Nothing is sent after it.
    pub(crate) fn end(self, progress: &Progress, end: Final) {
        self.send(progress, Some(end));
    }

    fn send(&self, progress: &Progress, end: Option<Final>) {
        let Some(sender) = &self.sender else { return };
        let (status, result_url, error) = match end {
            None => (None, None, None),
            Some(Final::Completed { result_url }) => (Some("completed"), Some(result_url), None),
            Some(Final::Failed { error }) => (Some("failed"), None, Some(error)),
        };
        // The task lives as long as this sender.
        let _ = sender.send(Event {
            job_id: self.job_id.as_str().into(),
            progress: progress.percent,
            message: progress.message.to_string(),
            timestamp: python_isoformat(Utc::now()),
            status,
            result_url,
            error,
        });
    }
}

/// The body of a callback.
#[derive(Serialize)]
struct Event {
    job_id: Box<str>,
    progress: u8,
    message: String,
    timestamp: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobError>,
}

/// What Python's `datetime.utcnow().isoformat()` gives: no zone, microseconds unless they are 0.
fn python_isoformat(time: DateTime<Utc>) -> String {
    let format = match time.nanosecond() / 1000 {
        0 => "%Y-%m-%dT%H:%M:%S",
        _ => "%Y-%m-%dT%H:%M:%S%.6f",
    };
    time.format(format).to_string()
}

/// The task that delivers the events of one job.
struct Delivery {
    outbound: Outbound,
    lane: Lane,
    job_id: JobId,
    url: RedactedUrl,
    _open: watch::Receiver<()>,
}

impl Delivery {
    async fn run(self, mut events: UnboundedReceiver<Event>) {
        let mut behind = false;
        while let Some(mut event) = events.recv().await {
            let began = Instant::now();
            let room = tokio::time::timeout(PATIENCE, self.lane.enter()).await;
            behind |= began.elapsed() > SLOW;
            // The last event is the newest of all, so it is never skipped.
            while behind && let Ok(newer) = events.try_recv() {
                event = newer;
            }
            behind = match room {
                Ok(_room) => !self.deliver(&event).await,
                Err(_) => {
                    self.warn(&event, "its receiver, or too many others, are too slow");
                    true
                }
            };
        }
    }

    /// Whether the receiver took the event, and soon.
    async fn deliver(&self, event: &Event) -> bool {
        let began = Instant::now();
        let result = tokio::time::timeout(TIMEOUT, self.post(event)).await;
        let reason = match result {
            Ok(Ok(())) => return began.elapsed() < SLOW,
            Ok(Err(reason)) => reason,
            Err(_) => format!("no answer within {} s", TIMEOUT.as_secs()),
        };
        self.warn(event, &reason);
        false
    }

    fn warn(&self, event: &Event, reason: &str) {
        tracing::warn!(
            job_id = %self.job_id, url = %self.url, progress = event.progress, reason,
            "a callback was not delivered"
        );
    }

    async fn post(&self, event: &Event) -> Result<(), String> {
        let body = serde_json::to_vec(event).map_err(|error| error.to_string())?;
        let mut response = self
            .outbound
            .post(self.url.reveal())
            .map_err(|refused| refused.to_string())?
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .body(body)
            .send()
            .await
            .map_err(|error| describe(&error))?;
        let status = response.status();
        let mut read = 0;
        while read < ANSWER
            && let Ok(Some(chunk)) = response.chunk().await
        {
            read += chunk.len();
        }
        // A redirect is a failure too: it would lead an event to where nobody sent it.
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("HTTP status {}", status.as_u16()))
        }
    }
}

/// What went wrong, without the URL that `reqwest` would print.
fn describe(error: &reqwest::Error) -> String {
    match Outbound::unreachable(error) {
        Some(reason) => reason.to_string(),
        None if error.is_connect() => "the connection failed".to_owned(),
        None => "the connection broke".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_those_of_python() {
        for (nanoseconds, shown) in [
            (123_456_789, "2025-01-08T10:00:00.123456"),
            (1_000, "2025-01-08T10:00:00.000001"),
            (999, "2025-01-08T10:00:00"),
        ] {
            let time = DateTime::from_timestamp(1_736_330_400, nanoseconds).expect("valid");
            assert_eq!(python_isoformat(time), shown);
        }
    }
}
