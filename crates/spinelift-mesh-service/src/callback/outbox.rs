//! The final events, from the engine's outbox to their receivers.

use super::Callbacks;
use super::event::Event;
use super::panic::surviving;
use super::post::NotTaken;
use super::retry::Retries;
use crate::clock;
use crate::engine::{Attempt, Delivery, EngineError, JobEngine, Lane, Next};
use crate::fault;
use crate::outage::Outage;
use crate::redacted::RedactedUrl;
use crate::result_url::ResultUrls;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Most deliveries that are on their way, or wait for the progress of their job to be told or for
/// a lane. So many that those of receivers that hang leave room for others; only the memory that
/// they take is bounded by this.
const ALL: usize = 10_000;

/// Pause after the engine was unavailable.
const PAUSE: Duration = Duration::from_secs(1);

/// Makes the deliveries of the outbox.
#[derive(Clone)]
pub(crate) struct Dispatcher {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) callbacks: Callbacks,
    pub(crate) result_urls: ResultUrls,
    pub(crate) retries: Retries,
}

/// What came of an attempt.
enum Outcome {
    Taken(u16),
    NotTaken(NotTaken),
    /// There is nothing that could be told, now or later.
    Untellable(String),
    /// The engine was closed: the next start makes the delivery.
    Closed,
}

impl Dispatcher {
    /// Runs until the engine hands out no more, and what was begun is done.
    pub(crate) async fn run(self) {
        let room = Arc::new(Semaphore::new(ALL));
        let mut tasks = JoinSet::new();
        let outage = Outage::default();
        loop {
            // The semaphore is never closed.
            let permit = Arc::clone(&room).acquire_owned().await.ok();
            while tasks.try_join_next().is_some() {}
            match self.engine.due().await {
                Ok(Some((delivery, lane))) => {
                    if let Some(outage) = outage.is_over() {
                        let seconds = outage.as_secs_f64();
                        tracing::info!(seconds, "deliveries are made again after an outage");
                    }
                    let dispatcher = self.clone();
                    tasks.spawn(async move {
                        dispatcher.deliver(delivery, lane).await;
                        drop(permit);
                    });
                }
                Ok(None) | Err(EngineError::Closed) => break,
                Err(error) => {
                    if outage.is_news() {
                        tracing::error!(
                            %error,
                            "no delivery could be read; trying again every second"
                        );
                    }
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    async fn deliver(&self, delivery: Delivery, _lane: Lane) {
        self.callbacks.told(&delivery.of).await;
        let (at, began) = (clock::now(), Instant::now());
        let outcome = surviving(self.attempt(&delivery)).await;
        let outcome = outcome.unwrap_or_else(Outcome::NotTaken);
        fault::point("callback-unrecorded").await;
        let (next, status, error) = match outcome {
            Outcome::Closed => return,
            Outcome::Taken(status) => (Next::Delivered, Some(status), None),
            Outcome::Untellable(reason) => (Next::GiveUp, None, Some(reason)),
            Outcome::NotTaken(failure) => {
                let next = self.retries.next(delivery.attempts, &failure);
                (next, failure.status, Some(failure.reason))
            }
        };
        if let Some(reason) = &error {
            warn(&delivery, next, reason);
        }
        let attempt = Attempt {
            at,
            took: began.elapsed(),
            status,
            error,
        };
        self.record(&delivery, attempt, next).await;
    }

    async fn attempt(&self, delivery: &Delivery) -> Outcome {
        let (url, event) = match self.event(delivery).await {
            Ok(Some(known)) => known,
            // Deleted meanwhile, and its deliveries with it; if they are not, they are in vain.
            Ok(None) => {
                return Outcome::Untellable("the job is gone, or has no receiver".to_owned());
            }
            Err(EngineError::Closed) => return Outcome::Closed,
            Err(error) => return Outcome::Untellable(error.to_string()),
        };
        let lane = self.callbacks.lanes.to(&url);
        let room = lane.enter().await;
        fault::point("callback-unsent").await;
        let poster = &self.callbacks.poster;
        match room.post(poster, &url, &delivery.id, &event).await {
            Ok(status) => Outcome::Taken(status),
            Err(failure) => Outcome::NotTaken(failure),
        }
    }

    /// What is to be told, and to whom; waits for an engine that is unavailable.
    async fn event(
        &self,
        delivery: &Delivery,
    ) -> Result<Option<(RedactedUrl, Event)>, EngineError> {
        loop {
            match self.try_event(delivery).await {
                Err(error @ (EngineError::Unavailable { .. } | EngineError::Unusable { .. })) => {
                    tracing::error!(%error, job_id = %delivery.of, "a job that ended cannot be read");
                    tokio::time::sleep(PAUSE).await;
                }
                known => return known,
            }
        }
    }

    async fn try_event(
        &self,
        delivery: &Delivery,
    ) -> Result<Option<(RedactedUrl, Event)>, EngineError> {
        // By now the name may be that of another job, or batch: nothing is told of that.
        let is_its = |generation| generation == delivery.generation;
        if let Some(job) = self.engine.get(&delivery.of).await? {
            let event = Event::ended(&job, self.result_urls.of(&job).await);
            let event = event.filter(|_| is_its(job.generation));
            return Ok(job.request.callback_url.zip(event));
        }
        Ok(self.engine.batch(&delivery.of).await?.and_then(|batch| {
            let event = Event::batch_ended(&batch, self.result_urls.of_batch(&batch));
            let event = event.filter(|_| is_its(batch.generation));
            batch.callback_url.zip(event)
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

fn warn(delivery: &Delivery, next: Next, reason: &str) {
    let (job_id, attempt) = (&delivery.of, delivery.attempts.saturating_add(1));
    match next {
        Next::RetryAfter(pause) => tracing::warn!(
            %job_id, delivery = %delivery.id, receiver = delivery.receiver, attempt, reason,
            again_after_seconds = pause.as_secs_f64(),
            "the end of a job was not delivered; it will be tried again"
        ),
        _ => tracing::error!(
            %job_id, delivery = %delivery.id, receiver = delivery.receiver, attempt, reason,
            "the end of a job was not delivered, and is given up; it can be replayed"
        ),
    }
}
