//! The progress of batches. Jobs of a batch end on many workers; its receiver hears in order how
//! many have, of the latest count only, and by one event at a time.

use super::event::Event;
use super::line::{PATIENCE, TOO_SLOW};
use super::panic::surviving;
use super::{Callbacks, not_told};
use crate::engine::DeliveryId;
use crate::job::{Batch, Job, JobId};
use crate::redacted::RedactedUrl;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use tokio::sync::watch;
use tokio::time::timeout;

/// The lines of the batches whose jobs are ending, or whose progress is being told.
#[derive(Default)]
pub(super) struct BatchLines {
    open: Mutex<HashMap<JobId, Line>>,
}

/// The line to the receiver of one batch.
struct Line {
    /// The jobs that may have something to tell.
    held: usize,
    /// Whether a task is telling.
    telling: bool,
    /// The latest count of ended jobs that was handed in.
    ended: u32,
    waiting: Option<(RedactedUrl, Event)>,
    /// Whoever waits for the end of the line sees its sender go.
    done: watch::Sender<()>,
}

/// The line of a job's batch, kept open. Held from before the end of a job is recorded, so that
/// the end of the batch, which waits for its line, cannot overtake what this job has to tell.
pub(crate) struct BatchLine {
    callbacks: Callbacks,
    batch: JobId,
}

impl BatchLine {
    pub(super) fn open(callbacks: &Callbacks, job: &Job) -> Option<Self> {
        let batch = job.batch.clone()?;
        let mut open = callbacks.batches.open.lock();
        let line = open.entry(batch.clone()).or_insert_with(|| Line {
            held: 0,
            telling: false,
            ended: 0,
            waiting: None,
            done: watch::Sender::new(()),
        });
        line.held += 1;
        drop(open);
        Some(Self {
            callbacks: callbacks.clone(),
            batch,
        })
    }

    /// The batch.
    pub(crate) fn batch(&self) -> &JobId {
        &self.batch
    }

    /// Tells how many jobs have ended, unless more have meanwhile: then that is told instead. The
    /// end of the last one is told as the end of the batch.
    pub(crate) fn progress(&self, batch: &Batch) {
        let ended = batch.counts.ended();
        let Some(url) = batch.callback_url.clone() else {
            return;
        };
        let mut open = self.callbacks.batches.open.lock();
        let Some(line) = open.get_mut(&self.batch) else {
            return;
        };
        if ended <= line.ended || ended >= batch.counts.total {
            return;
        }
        line.ended = ended;
        line.waiting = Some((url, Event::batch_progress(batch)));
        if !line.telling {
            line.telling = true;
            let telling = Telling {
                callbacks: self.callbacks.clone(),
                batch: self.batch.clone(),
            };
            tokio::spawn(telling.run());
        }
    }
}

impl Drop for BatchLine {
    fn drop(&mut self) {
        self.callbacks
            .batches
            .change(&self.batch, |line| line.held -= 1);
    }
}

impl BatchLines {
    /// Changes a line, and forgets it if nobody needs it any more.
    fn change<T>(&self, batch: &JobId, change: impl FnOnce(&mut Line) -> T) -> Option<T> {
        let mut open = self.open.lock();
        let Entry::Occupied(mut line) = open.entry(batch.clone()) else {
            return None;
        };
        let changed = change(line.get_mut());
        if line.get().held == 0 && !line.get().telling {
            line.remove();
        }
        Some(changed)
    }

    /// Waits until the progress of a batch has been told, or given up.
    pub(super) async fn told(&self, batch: &JobId) {
        let line = self
            .open
            .lock()
            .get(batch)
            .map(|line| line.done.subscribe());
        if let Some(mut line) = line {
            // An error means that the line has ended: what is waited for.
            while line.changed().await.is_ok() {}
        }
    }
}

/// Tells what waits, until nothing does.
struct Telling {
    callbacks: Callbacks,
    batch: JobId,
}

impl Telling {
    async fn run(self) {
        while let Some((url, event)) = self.next() {
            if let Err(failure) = surviving(self.tell(&url, &event)).await {
                not_told(&self.batch, &url, &event, &failure.reason);
            }
        }
    }

    fn next(&self) -> Option<(RedactedUrl, Event)> {
        let next = self.callbacks.batches.change(&self.batch, |line| {
            let next = line.waiting.take();
            line.telling = next.is_some();
            next
        });
        next.flatten()
    }

    async fn tell(&self, url: &RedactedUrl, event: &Event) {
        let lane = self.callbacks.lanes.to(url);
        let reason = match timeout(PATIENCE, lane.enter()).await {
            Ok(room) => {
                let (poster, id) = (&self.callbacks.poster, DeliveryId::generate());
                let taken = room.post(poster, url, &id, event).await;
                taken.err().map(|failure| failure.reason)
            }
            Err(_) => Some(TOO_SLOW.to_owned()),
        };
        if let Some(reason) = reason {
            not_told(&self.batch, url, event, &reason);
        }
    }
}
