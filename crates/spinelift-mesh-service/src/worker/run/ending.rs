//! How a job's attempt is over: recorded and told, given back, or dropped.

use super::making::Made;
use super::{DISCARDING, Runner, STORE_PAUSE};
use crate::callback::BatchLine;
use crate::engine::{Claim, Fenced, Outcome, StoredResult};
use crate::fault;
use crate::job::{Job, JobError, Source};
use crate::storage::Draft;
use std::sync::Arc;
use std::time::Duration;

impl Runner {
    /// Records the end.
    pub(super) async fn end(
        &self,
        claim: &Claim,
        made: Result<Made, JobError>,
        percent: u8,
        took: Duration,
    ) -> Fenced {
        let outcome = match &made {
            Ok(made) => Outcome::Completed(made.result.clone()),
            Err(error) => Outcome::Failed {
                error: error.clone(),
                percent,
            },
        };
        let batch = self.callbacks.open_batch(&claim.job);
        let record = self.record(claim, outcome);
        let fenced = self.metrics.stages.time("record", record).await;
        fault::point("ended").await;
        if let (Fenced::Recorded, Some(line)) = (fenced, batch) {
            self.tell_batch(&line).await;
        }
        let milliseconds = took.as_millis() as u64;
        match (fenced, &made) {
            (Fenced::Recorded, Ok(made)) => {
                let cached = matches!(made.result, StoredResult::Cached(_));
                let outcome = if cached { "cached" } else { "completed" };
                self.metrics.jobs.duration.of(outcome).record(took);
                tracing::info!(milliseconds, cached, "job completed");
            }
            (Fenced::Recorded, Err(error)) => {
                self.metrics.jobs.duration.of("failed").record(took);
                tracing::info!(milliseconds, code = %error.code, reason = error.message, "job failed");
            }
            (Fenced::Superseded, _) => {
                tracing::warn!(
                    "the job is gone, or another attempt's; this attempt counts for nothing"
                );
            }
            (Fenced::ResultGone, _) => {}
        }
        fenced
    }

    /// As long as the store is unavailable the job has not ended: to give up would be to run it
    /// once more after the next start.
    async fn record(&self, claim: &Claim, outcome: Outcome) -> Fenced {
        loop {
            match self.engine.finish(claim, outcome.clone()).await {
                Ok(fenced) => return fenced,
                Err(error) => {
                    tracing::error!(%error, "the end of a job could not be recorded, trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
            }
        }
    }

    /// Tells the receiver of a batch that one of its jobs has ended.
    async fn tell_batch(&self, line: &BatchLine) {
        match self.engine.batch(line.batch()).await {
            Ok(Some(batch)) => line.progress(&batch, &self.engine),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, batch = %line.batch(), "a batch cannot be read");
            }
        }
    }

    pub(super) async fn give_back(&self, claim: &Claim, draft: Option<Draft>) {
        let job_id = &claim.job.id;
        match self.engine.release(claim).await {
            Ok(_) => tracing::info!(%job_id, "job interrupted by the shutdown, to be resumed"),
            Err(error) => tracing::warn!(%job_id, %error, "job interrupted by the shutdown"),
        }
        // A storage that hangs must not keep the engine open.
        let _ = tokio::time::timeout(DISCARDING, self.discard(draft)).await;
    }

    /// Removes what only the running job needed.
    pub(super) async fn tidy(&self, job: &Job, draft: Option<Draft>) {
        // On its own: a write that has not ended keeps nobody from the next job.
        tokio::spawn(self.discard(draft));
        if let Source::Upload { digest } = &job.request.source {
            self.uploads.remove_unneeded(&job.id, digest).await;
        }
    }

    /// Removes a result that was not recorded and cannot be any more.
    fn discard(&self, draft: Option<Draft>) -> impl Future<Output = ()> + Send + use<> {
        let engine = Arc::clone(&self.engine);
        async move {
            if let Some(draft) = draft {
                draft.discard(engine.as_ref()).await;
            }
        }
    }
}
