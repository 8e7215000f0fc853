//! The progress of one job, told in order to a receiver that may be slow.

use super::event::Event;
use super::lanes::{Lane, PROMPT, Room};
use super::not_told;
use super::post::Poster;
use crate::engine::DeliveryId;
use crate::job::{JobId, Progress};
use crate::redacted::RedactedUrl;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};

/// How long an event waits for its turn. Events of jobs that end faster than their receiver
/// answers would otherwise pile up without bound.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// What is said of an event that has waited longer.
pub(super) const TOO_SLOW: &str = "its receiver, or too many others, are too slow";

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
            behind |= began.elapsed() > PROMPT;
            // A delivery that takes longer than that, or fails, lets progress that has become
            // stale meanwhile be skipped.
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
                Ok(room) => !self.deliver(&room, &event).await,
                Err(_) => {
                    not_told(&self.job_id, &self.url, &event, TOO_SLOW);
                    true
                }
            };
        }
    }

    /// Whether the receiver took the event, and soon.
    async fn deliver(&self, room: &Room, event: &Event) -> bool {
        let (began, id) = (Instant::now(), DeliveryId::generate());
        match room.post(&self.poster, &self.url, &id, event).await {
            Ok(_) => began.elapsed() < PROMPT,
            Err(not_taken) => {
                not_told(&self.job_id, &self.url, event, &not_taken.reason);
                false
            }
        }
    }
}
