//! The final events, from the engine's outbox to their receivers.

use super::Callbacks;
use super::event::Event;
use super::post::NotTaken;
use crate::engine::{Attempt, Delivery, EngineError, JobEngine, Lane, Next};
use crate::redacted::RedactedUrl;
use crate::result_url::ResultUrls;
use chrono::Utc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Most deliveries that are on their way, or wait for the progress of their job to be told.
const ALL: usize = 128;

/// Pause after the engine could not hand out a delivery.
const PAUSE: Duration = Duration::from_secs(1);

/// Times between the attempts at one delivery.
const RETRIES: [Duration; 8] = [
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(2 * 60),
    Duration::from_secs(10 * 60),
    Duration::from_secs(60 * 60),
    Duration::from_secs(3 * 60 * 60),
    Duration::from_secs(8 * 60 * 60),
    Duration::from_secs(12 * 60 * 60),
];

/// Makes the deliveries of the outbox.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) callbacks: Callbacks,
    pub(crate) result_urls: ResultUrls,
}

impl Dispatcher {
    /// Runs until the engine hands out no more, and what was begun is done.
    pub(crate) async fn run(self) {
        let room = Arc::new(Semaphore::new(ALL));
        let mut tasks = JoinSet::new();
        loop {
            // The semaphore is never closed.
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            while tasks.try_join_next().is_some() {}
            match self.engine.due().await {
                Ok(Some((delivery, lane))) => {
                    let dispatcher = self.clone();
                    tasks.spawn(async move {
                        dispatcher.deliver(delivery, lane).await;
                        drop(permit);
                    });
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::error!(%error, "no delivery could be read");
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn deliver(&self, delivery: Delivery, _lane: Lane) {
        self.callbacks.told(&delivery.of).await;
        let (url, event) = match self.event(&delivery).await {
            Ok(Some(known)) => known,
            // Deleted meanwhile, and its deliveries with it.
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, job_id = %delivery.of, "a job that ended cannot be read");
                return;
            }
        };
        let (at, began) = (Utc::now(), Instant::now());
        let taken = {
            let lane = self.callbacks.lanes.to(url.reveal());
            let _room = lane.enter().await;
            self.callbacks.poster.post(&url, &event).await
        };
        let next = next(&delivery, &taken);
        if let Err(not_taken) = &taken {
            tracing::warn!(
                job_id = %delivery.of, delivery = %delivery.id, %url, ?next,
                attempt = delivery.attempts + 1, reason = not_taken.reason,
                "the end of a job was not delivered"
            );
        }
        let (status, error) = match taken {
            Ok(status) => (Some(status), None),
            Err(not_taken) => (not_taken.status, Some(not_taken.reason)),
        };
        let attempt = Attempt {
            at,
            took: began.elapsed(),
            status,
            error,
        };
        self.record(&delivery, attempt, next).await;
    }

    /// What is to be told, and to whom.
    async fn event(
        &self,
        delivery: &Delivery,
    ) -> Result<Option<(RedactedUrl, Event)>, EngineError> {
        if let Some(job) = self.engine.get(&delivery.of).await? {
            let event = Event::ended(&job, self.result_urls.of(&job));
            return Ok(job.request.callback_url.map(|url| (url, event)));
        }
        Ok(self.engine.batch(&delivery.of).await?.and_then(|batch| {
            let url = batch.callback_url.clone()?;
            let result_url = self.result_urls.of_batch(&batch);
            Some((url, Event::batch_ended(&batch, result_url)))
        }))
    }

    /// As long as the store is unavailable the attempt is not over: after the next start it would
    /// be made again.
    async fn record(&self, delivery: &Delivery, attempt: Attempt, next: Next) {
        while let Err(error) = self.engine.attempted(delivery, attempt.clone(), next).await {
            if error == EngineError::Closed {
                return;
            }
            tracing::error!(%error, "a delivery could not be recorded, trying again");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn next(delivery: &Delivery, taken: &Result<u16, NotTaken>) -> Next {
    match taken {
        Ok(_) => Next::Delivered,
        Err(_) => RETRIES
            .get(delivery.attempts as usize)
            .map_or(Next::GiveUp, |delay| Next::RetryAfter(jittered(*delay))),
    }
}

/// Four to six fifths of a delay, so that what failed together does not come back together.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(0.8 + 0.4 * fastrand::f64())
}
