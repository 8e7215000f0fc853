//! One job, from its image to its result.

use super::cpu::CpuSlots;
use super::flight::{Flight, Flights};
use super::pace::Pace;
use super::reporter::{Reporter, Watch};
use super::timer::Timer;
use crate::callback::{BatchLine, Callbacks};
use crate::engine::{
    Claim, Fenced, JobEngine, Lane, Outcome, ResultKey, ResultObject, StoredResult,
};
use crate::fault;
use crate::health::Activity;
use crate::job::{Job, JobError, Source};
use crate::memory::{MemoryBudget, TooLarge};
use crate::metrics::{Held, Metrics};
use crate::source::{Image, Sources};
use crate::storage::{Storage, StorageError};
use crate::trace::Traces;
use axum::body::Bytes;
use serde_json::json;
use spinelift_mesh::image::ImageHeader;
use spinelift_mesh::{Limits, Step, memory};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tracing::{Instrument, Span, trace_span};

/// Pause between tries at storing a result, or at recording the end of a job: as long as the
/// store is unavailable the job has not ended.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// All that running a job takes.
pub(crate) struct Runner {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) sources: Sources,
    pub(crate) memory: MemoryBudget,
    pub(crate) storage: Storage,
    pub(crate) callbacks: Callbacks,
    pub(crate) cpu: CpuSlots,
    /// Room for jobs that have their image.
    pub(crate) slots: Semaphore,
    pub(crate) flights: Flights<ResultKey>,
    pub(crate) limits: Limits,
    pub(crate) timeout: Duration,
    pub(crate) pace: Arc<Pace>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) traces: Arc<Traces>,
    /// Whether results of other jobs may be used.
    pub(crate) caches: bool,
}

/// A result, and the right to make it, which ends when it is recorded.
struct Made {
    result: StoredResult,
    _flight: Flight,
}

impl Runner {
    /// Runs a job to its end, gives it back as soon as `abandon` says so, or drops it when it is
    /// cancelled.
    pub(crate) async fn run(&self, claim: &Claim, lane: Lane, mut abandon: watch::Receiver<bool>) {
        let job = &claim.job;
        let span = tracing::info_span!(
            "job",
            job_id = %job.id,
            attempt = job.attempts,
            request_id = job.request_id,
        );
        self.traces.resume(job.id.as_str(), &span);
        self.traces.note(job.id.as_str(), &span);
        let _running = Held::new(&self.metrics.jobs.running);
        self.activity.note();
        let abandoned = async {
            // An error means that the workers are gone: the same thing.
            let _ = abandon.wait_for(|abandoned| *abandoned).await;
        };
        tokio::select! {
            () = self.to_the_end(claim, lane).instrument(span) => self.tidy(job).await,
            () = claim.stop.cancelled() => {
                tracing::info!(job_id = %job.id, "job cancelled while it ran");
                self.tidy(job).await;
            }
            () = abandoned => self.give_back(claim).await,
        }
        self.activity.note();
    }

    /// Ends a job whose run panicked outside of the mesh library.
    pub(crate) async fn end_after_panic(&self, claim: &Claim) {
        let error = Err(JobError::internal());
        self.end(claim, error, 0, Duration::ZERO).await;
        self.tidy(&claim.job).await;
    }

    async fn to_the_end(&self, claim: &Claim, lane: Lane) {
        let began = Instant::now();
        let reporter = Arc::new(Reporter::new(&self.engine, &self.callbacks, claim));
        let (mut lane, mut reuse) = (Some(lane), self.caches);
        loop {
            let timer = Timer::start(self.timeout);
            let make = self.make(claim, lane.take(), &reporter, reuse, &timer);
            let made = timer.limit(make).await;
            let made = made.unwrap_or_else(|limit| Err(timed_out(limit)));
            let percent = reporter.last().percent;
            match self.end(claim, made, percent, began.elapsed()).await {
                // Removed between the lookup and the record: rare, and made anew.
                Fenced::ResultGone if reuse => reuse = false,
                _ => return,
            }
        }
    }

    /// The result, from the cache or made and stored.
    async fn make(
        &self,
        claim: &Claim,
        lane: Option<Lane>,
        reporter: &Arc<Reporter>,
        reuse: bool,
        timer: &Timer,
    ) -> Result<Made, JobError> {
        // To the client the download is part of the first step, so that begins here.
        reporter.step(Step::LoadImage);
        fault::point("claimed").await;
        let image = self.load(&claim.job, timer).await?;
        fault::point("loaded").await;
        drop(lane);
        let key = ResultKey::new(&image.digest, &claim.job.request.parameters);
        let stages = &self.metrics.stages;
        let flight = stages.time("wait_same", self.flights.enter(&key)).await;
        let cached = match reuse {
            true => timer.apart(self.cached(&key)).await,
            false => None,
        };
        if reuse {
            self.metrics.cache.looked_up(cached.is_some());
        }
        let result = match cached {
            Some(object) => StoredResult::Cached(object),
            None => {
                self.compute_and_store(claim, image, key, reporter, timer)
                    .await?
            }
        };
        Ok(Made {
            result,
            _flight: flight,
        })
    }

    async fn load(&self, job: &Job, timer: &Timer) -> Result<Image, JobError> {
        let _loading = Held::new(&self.metrics.sources.downloads);
        let began = Instant::now();
        let image = self.metrics.stages.time("download", self.image(job, timer));
        let image = image.instrument(trace_span!("download")).await;
        self.pace.loaded(began.elapsed());
        match &image {
            Ok(image) => self.metrics.sources.bytes.record(image.bytes.len() as f64),
            Err(error) => self.metrics.sources.failed(error),
        }
        image
    }

    async fn image(&self, job: &Job, timer: &Timer) -> Result<Image, JobError> {
        match &job.request.source {
            Source::Url(url) => Ok(self.sources.load(url).await?),
            Source::Upload { digest } => timer.apart(self.upload(job, digest)).await,
        }
    }

    async fn upload(&self, job: &Job, digest: &str) -> Result<Image, JobError> {
        let size = stored(|| self.storage.upload_size(&job.id, digest)).await?;
        let memory = self.memory.file(size).await.map_err(too_large)?;
        let bytes = stored(|| self.storage.get_upload(&job.id, digest)).await?;
        Ok(Image::of_upload(bytes, memory))
    }

    /// The cached result, if it is there and its object too.
    async fn cached(&self, key: &ResultKey) -> Option<ResultObject> {
        let object = match self.engine.cached(key).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::warn!(%error, "the result cache cannot be read");
                return None;
            }
        };
        match self.storage.has_result(&object).await {
            Ok(true) => return Some(object),
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "a cached result cannot be read");
                return None;
            }
        }
        tracing::warn!(%object, "a cached result has vanished from the storage");
        if let Err(error) = self.engine.forget(&object).await {
            tracing::warn!(%error, "the result cache cannot be written");
        }
        None
    }

    async fn compute_and_store(
        &self,
        claim: &Claim,
        image: Image,
        key: ResultKey,
        reporter: &Arc<Reporter>,
        timer: &Timer,
    ) -> Result<StoredResult, JobError> {
        // The semaphore is never closed.
        let stages = &self.metrics.stages;
        let _slot = stages.time("wait_slot", self.slots.acquire()).await.ok();
        let result = self.compute(claim, image, reporter).await?;
        fault::point("computed").await;
        let object = self.storage.name_result(&key);
        let bytes = result.len() as u64;
        let store = timer.apart(self.store(&object, result));
        let store = stages.time("store", store);
        store.instrument(trace_span!("store")).await;
        fault::point("stored").await;
        Ok(StoredResult::New { key, object, bytes })
    }

    /// The result JSON.
    async fn compute(
        &self,
        claim: &Claim,
        image: Image,
        reporter: &Arc<Reporter>,
    ) -> Result<Bytes, JobError> {
        let (parameters, limits) = (claim.job.request.parameters, self.limits);
        let memory = match ImageHeader::read(&image.bytes, &limits) {
            Ok(header) => memory::peak(&header, &parameters, &limits),
            // The run will say the same, and take no memory.
            Err(_) => 0,
        };
        let memory = self.memory.computing(memory).await.map_err(too_large)?;
        let reporter = Arc::clone(reporter);
        let (stages, queued) = (self.metrics.stages.clone(), Instant::now());
        let job = Span::current();
        let computed = self.cpu.run(move |stop| {
            let _memory = memory;
            stages.record("wait_core", queued);
            let _in_span = trace_span!(parent: &job, "compute").entered();
            let steps = stages.steps();
            let mut watch = Watch {
                reporter,
                stop,
                steps,
            };
            let began = Instant::now();
            let result = spinelift_mesh::generate(&image.bytes, &parameters, &limits, &mut watch)
                .map(|mesh| Bytes::from(mesh.to_json()));
            (result, began.elapsed())
        });
        match computed.await {
            Ok((result, took)) => {
                self.pace.computed(took);
                result.map_err(JobError::from)
            }
            Err(panic) => {
                tracing::error!(panic = panic.0, "the mesh library panicked");
                Err(JobError::internal())
            }
        }
    }

    /// Stores a result, as soon as that is possible.
    async fn store(&self, object: &ResultObject, result: Bytes) {
        while let Err(error) = self.storage.put_result(object, result.clone()).await {
            tracing::error!(%error, "a result could not be stored, trying again");
            tokio::time::sleep(STORE_PAUSE).await;
        }
    }

    /// Records the end.
    async fn end(
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
            (Fenced::Superseded, made) => {
                tracing::warn!("the job was ended otherwise; this attempt counts for nothing");
                if let Ok(Made {
                    result: StoredResult::New { object, .. },
                    ..
                }) = made
                {
                    self.storage
                        .remove_results(std::slice::from_ref(object))
                        .await;
                }
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
            Ok(Some(batch)) => line.progress(&batch),
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, batch = %line.batch(), "a batch cannot be read");
            }
        }
    }

    async fn give_back(&self, claim: &Claim) {
        let job_id = &claim.job.id;
        match self.engine.release(claim).await {
            Ok(_) => tracing::info!(%job_id, "job interrupted by the shutdown, to be resumed"),
            Err(error) => tracing::warn!(%job_id, %error, "job interrupted by the shutdown"),
        }
    }

    /// Removes what only the running job needed.
    async fn tidy(&self, job: &Job) {
        if let Source::Upload { digest } = &job.request.source {
            self.storage.remove_upload(&job.id, digest).await;
        }
    }
}

/// What is known or stored of an uploaded image, as soon as the storage can say. Only that there is
/// none is an answer: a storage that fails says nothing of the image.
async fn stored<T, F>(ask: impl Fn() -> F) -> Result<T, JobError>
where
    F: Future<Output = Result<T, StorageError>>,
{
    loop {
        match ask().await {
            Ok(found) => return Ok(found),
            Err(error) if error.is_missing() => {
                tracing::error!(%error, "an uploaded image is gone");
                let details = json!({ "reason": "upload_gone" });
                let message = "The uploaded image is gone";
                return Err(JobError::new("IMAGE_LOAD_FAILED", message, details));
            }
            Err(error) => {
                tracing::error!(%error, "an uploaded image cannot be read, trying again");
                tokio::time::sleep(STORE_PAUSE).await;
            }
        }
    }
}

fn too_large(error: TooLarge) -> JobError {
    let details = json!({ "needed": error.needed, "memory_budget_share": error.available });
    JobError::new("MEMORY_BUDGET_EXCEEDED", error.to_string(), details)
}

fn timed_out(limit: Duration) -> JobError {
    let seconds = limit.as_secs_f64();
    JobError::new(
        "JOB_TIMEOUT",
        format!("The job did not end within {seconds} s"),
        json!({ "job_timeout": seconds }),
    )
}
