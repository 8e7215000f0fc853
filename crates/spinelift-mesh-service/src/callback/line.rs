//! The progress of one job, told in order to a receiver that may be slow.

use super::event::Event;
use super::lanes::Lane;
use super::post::Poster;
use crate::job::{JobId, Progress};
use crate::redacted::RedactedUrl;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// A delivery that takes longer than this, or fails, lets progress that has become stale
/// meanwhile be skipped.
const SLOW: Duration = Duration::from_secs(1);

/// How long an event waits for its turn. Events of jobs that end faster than their receiver
/// answers would otherwise pile up without bound.
const PATIENCE: Duration = Duration::from_secs(30);

/// The progress of one job, in order. Sending never waits: a job makes at most eight events, so
/// the line cannot grow long.
pub(crate) struct CallbackLine {
    pub(super) job_id: JobId,
    pub(super) sender: Option<UnboundedSender<Event>>,
}

impl CallbackLine {
    /// Tells of a step that begins.
    pub(crate) fn progress(&self, progress: &Progress) {
        if let Some(sender) = &self.sender {
            // The task lives as long as this sender.
            let _ = sender.send(Event::progress(&self.job_id, progress));
        }
    }
}

/// The task that delivers the progress of one job.
pub(super) struct Delivery {
    pub(super) poster: Poster,
    pub(super) lane: Lane,
    pub(super) job_id: JobId,
    pub(super) url: RedactedUrl,
}

impl Delivery {
    pub(super) async fn run(self, mut events: UnboundedReceiver<Event>) {
        let mut behind = false;
        while let Some(mut event) = events.recv().await {
            let began = Instant::now();
            let room = tokio::time::timeout(PATIENCE, self.lane.enter()).await;
            behind |= began.elapsed() > SLOW;
            if behind {
                while let Ok(newer) = events.try_recv() {
                    event = newer;
                }
                // The job has ended: only its end is still news.
                if events.is_closed() {
                    return;
                }
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
        match self.poster.post(&self.url, event).await {
            Ok(_) => began.elapsed() < SLOW,
            Err(not_taken) => {
                self.warn(event, &not_taken.reason);
                false
            }
        }
    }

    fn warn(&self, event: &Event, reason: &str) {
        tracing::warn!(
            job_id = %self.job_id, url = %self.url, progress = event.percent(), reason,
            "a callback was not delivered"
        );
    }
}
