//! An engine whose jobs are counted, and kept in the trace of their request: here, because here
//! all of them pass, whoever sends, runs or cancels them.

use super::{
    Accepted, AcceptedBatch, Attempt, Backlog, Cancelled, Claim, Deleted, Delivery, DeliveryId,
    DeliveryRecord, EngineError, Expired, Fenced, Filter, JobEngine, Lane, NewBatch, NewJob, Next,
    Outbox, Outcome, Page, Replayed, ResultIndex, ResultKey, ResultObject, StoredResult, Turn,
    Watch, Work,
};
use crate::clock;
use crate::job::{Batch, Job, JobId, Progress};
use crate::metrics::Metrics;
use crate::trace::Traces;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::sync::Arc;
use tracing::Span;

/// Counts what passes through it, and notes where it came from.
pub(crate) struct Observed<E> {
    engine: E,
    metrics: Arc<Metrics>,
    traces: Arc<Traces>,
}

impl<E: JobEngine> Observed<E> {
    pub(crate) fn new(engine: E, metrics: Arc<Metrics>, traces: Arc<Traces>) -> Self {
        Self {
            engine,
            metrics,
            traces,
        }
    }

    /// How many jobs of a batch have no result and never will; 0 of what is no batch.
    async fn failed(&self, id: &JobId) -> Option<u32> {
        let batch = self.engine.batch(id).await.ok().flatten()?;
        Some(batch.counts.failed)
    }
}

#[async_trait]
impl<E: JobEngine> JobEngine for Observed<E> {
    async fn accept(&self, job: NewJob) -> Result<Accepted, EngineError> {
        // Before a worker can have it.
        self.traces.note(job.id.as_str(), &Span::current());
        let accepted = self.engine.accept(job).await?;
        if accepted == Accepted::Created {
            self.metrics.jobs.accepted.increment(1);
        }
        Ok(accepted)
    }

    async fn accept_batch(&self, batch: NewBatch) -> Result<AcceptedBatch, EngineError> {
        let jobs = batch.jobs.len() as u64;
        for id in batch.jobs.iter().map(|(id, _)| id).chain([&batch.id]) {
            self.traces.note(id.as_str(), &Span::current());
        }
        let accepted = self.engine.accept_batch(batch).await?;
        if accepted == AcceptedBatch::Created {
            self.metrics.jobs.accepted.increment(jobs);
        }
        Ok(accepted)
    }

    async fn claim(&self) -> Result<Option<(Claim, Lane)>, EngineError> {
        let claimed = self.engine.claim().await?;
        if let Some((claim, _)) = &claimed
            && claim.job.attempts == 1
        {
            // The clock may have been set back.
            let waited = (clock::now() - claim.job.created_at).to_std();
            self.metrics
                .jobs
                .queue_wait
                .record(waited.unwrap_or_default());
        }
        Ok(claimed)
    }

    fn report(&self, claim: &Claim, progress: Progress) {
        self.engine.report(claim, progress);
    }

    async fn finish(&self, claim: &Claim, outcome: Outcome) -> Result<Fenced, EngineError> {
        let jobs = &self.metrics.jobs;
        let counter = match &outcome {
            Outcome::Completed(StoredResult::New { .. }) => jobs.completed.of("made"),
            Outcome::Completed(StoredResult::Cached(_)) => jobs.completed.of("cached"),
            Outcome::Failed { error, .. } => jobs.failed.of(&error.code),
        };
        let fenced = self.engine.finish(claim, outcome).await?;
        if fenced == Fenced::Recorded {
            counter.increment(1);
        }
        Ok(fenced)
    }

    async fn release(&self, claim: &Claim) -> Result<Fenced, EngineError> {
        self.engine.release(claim).await
    }

    async fn cancel(&self, id: &JobId) -> Result<Option<Cancelled>, EngineError> {
        let before = self.failed(id).await;
        let cancelled = self.engine.cancel(id).await?;
        if cancelled == Some(Cancelled::Now) {
            let jobs = match before {
                None => 1,
                // Jobs of a batch that fail of themselves meanwhile are counted as cancelled, too.
                Some(before) => self
                    .failed(id)
                    .await
                    .unwrap_or(before)
                    .saturating_sub(before),
            };
            self.metrics.jobs.cancelled.increment(jobs.into());
        }
        Ok(cancelled)
    }

    async fn delete(&self, id: &JobId) -> Result<Option<Deleted>, EngineError> {
        self.engine.delete(id).await
    }

    async fn expire(&self, before: DateTime<Utc>) -> Result<Expired, EngineError> {
        self.engine.expire(before).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, EngineError> {
        self.engine.get(id).await
    }

    async fn batch(&self, id: &JobId) -> Result<Option<Batch>, EngineError> {
        self.engine.batch(id).await
    }

    async fn list(&self, filter: Filter) -> Result<Page, EngineError> {
        self.engine.list(filter).await
    }

    async fn progress(&self, id: &JobId) -> Result<Option<(u32, Vec<Progress>)>, EngineError> {
        self.engine.progress(id).await
    }

    fn watch(&self, id: &JobId) -> Watch {
        self.engine.watch(id)
    }

    async fn turn(&self, work: &Work) -> Turn {
        self.engine.turn(work).await
    }

    async fn secret(&self, name: &'static str) -> Result<[u8; 32], EngineError> {
        self.engine.secret(name).await
    }

    async fn check(&self) -> Result<(), EngineError> {
        self.engine.check().await
    }

    async fn backlog(&self) -> Result<Backlog, EngineError> {
        self.engine.backlog().await
    }

    fn nobody_works(&self) -> bool {
        self.engine.nobody_works()
    }

    async fn check_room(&self, client: &str) -> Result<(), EngineError> {
        self.engine.check_room(client).await
    }

    fn stop_claiming(&self) {
        self.engine.stop_claiming();
    }

    async fn close(&self) {
        self.engine.close().await;
    }
}

#[async_trait]
impl<E: JobEngine> Outbox for Observed<E> {
    async fn due(&self) -> Result<Option<(Delivery, Lane)>, EngineError> {
        self.engine.due().await
    }

    async fn attempted(
        &self,
        delivery: &Delivery,
        attempt: Attempt,
        next: Next,
    ) -> Result<(), EngineError> {
        self.engine.attempted(delivery, attempt, next).await
    }

    async fn deliveries(&self, of: &JobId) -> Result<Vec<DeliveryRecord>, EngineError> {
        self.engine.deliveries(of).await
    }

    async fn replay(&self, of: &JobId, id: &DeliveryId) -> Result<Replayed, EngineError> {
        self.engine.replay(of, id).await
    }

    async fn telling(&self, batch: &JobId, ended: u32) -> Option<Turn> {
        self.engine.telling(batch, ended).await
    }

    fn finish_due(&self) {
        self.engine.finish_due();
    }

    async fn undelivered(&self) -> Result<usize, EngineError> {
        self.engine.undelivered().await
    }
}

#[async_trait]
impl<E: JobEngine> ResultIndex for Observed<E> {
    async fn cached(&self, key: &ResultKey) -> Result<Option<ResultObject>, EngineError> {
        self.engine.cached(key).await
    }

    async fn shrink_cache(&self, bytes: u64) -> Result<Vec<ResultObject>, EngineError> {
        self.engine.shrink_cache(bytes).await
    }

    async fn forget(&self, object: &ResultObject) -> Result<(), EngineError> {
        self.engine.forget(object).await
    }

    async fn unused(&self, objects: Vec<ResultObject>) -> Result<Vec<ResultObject>, EngineError> {
        self.engine.unused(objects).await
    }
}
