//! One job, from its image to its result.

use super::cpu::CpuSlots;
use super::flight::{Flight, Flights};
use super::pace::Pace;
use super::reporter::{Reporter, Watch};
use super::uploads::Uploads;
use crate::callback::{BatchLine, Callbacks};
use crate::engine::{
    Claim, Fenced, JobEngine, Lane, Outcome, ResultKey, ResultObject, StoredResult, Turn, Work,
};
use crate::fault;
use crate::health::Activity;
use crate::job::{Job, JobError, Source};
use crate::memory::{MemoryBudget, TooLarge};
use crate::metrics::{Held, Metrics};
use crate::source::{Image, Sources};
use crate::stopwatch::{Stopwatch, TimeIsUp};
use crate::storage::{Draft, Storage, StorageError};
use crate::trace::Traces;
use axum::body::Bytes;
use serde_json::json;
use spinelift_mesh::image::ImageHeader;
use spinelift_mesh::{Limits, Mesh, Step, Warning, memory};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, watch};
use tracing::{Instrument, Span, trace_span};

/// Pause between tries at storing a result, or at recording the end of a job: as long as the
/// store is unavailable the job has not ended.
const STORE_PAUSE: Duration = Duration::from_secs(1);

/// How long a shutdown waits for a result that is to be removed.
const DISCARDING: Duration = Duration::from_secs(5);

/// All that running a job takes.
pub(crate) struct Runner {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) sources: Sources,
    pub(crate) memory: MemoryBudget,
    pub(crate) storage: Storage,
    pub(crate) uploads: Arc<Uploads>,
    pub(crate) callbacks: Callbacks,
    pub(crate) cpu: CpuSlots,
    /// Room for jobs that have their image.
    pub(crate) slots: Semaphore,
    pub(crate) flights: Flights<ResultKey>,
    pub(crate) limits: Limits,
    /// How long a job may work.
    pub(crate) timeout: Duration,
    pub(crate) pace: Arc<Pace>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) activity: Arc<Activity>,
    pub(crate) traces: Arc<Traces>,
    /// Whether results of other jobs may be used.
    pub(crate) caches: bool,
}

/// What an attempt at a job goes along with.
struct Attempt<'a> {
    claim: &'a Claim,
    reporter: Arc<Reporter>,
    stopwatch: Stopwatch,
    /// Kept by who may drop the attempt, and then has to remove what it stored.
    draft: &'a mut Option<Draft>,
}

/// A result, and the right to make it, which ends when it is recorded.
struct Made {
    result: StoredResult,
    // Given back in this order: who waits for the flight here takes the turn at once.
    _turn: Turn,
    _flight: Flight,
}

/// A mesh as it is stored.
struct Computed {
    /// JSON.
    result: Bytes,
    /// Whether time was up before the searches had ended.
    is_cut_short: bool,
}

impl From<&Mesh> for Computed {
    fn from(mesh: &Mesh) -> Self {
        Self {
            result: Bytes::from(mesh.to_json()),
            is_cut_short: mesh.metadata.warnings.contains(&Warning::TimeWasUp),
        }
    }
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
        let mut draft = None;
        tokio::select! {
            // A job that was cancelled before its worker came to it does not begin at all.
            biased;
            () = claim.stop.cancelled() => {
                tracing::info!(job_id = %job.id, "job cancelled while it ran");
                self.tidy(job, draft).await;
            }
            () = self.to_the_end(claim, lane, &mut draft).instrument(span) => {
                self.tidy(job, draft).await;
            }
            () = abandoned => self.give_back(claim, draft).await,
        }
        self.activity.note();
    }

    /// Ends a job whose run panicked outside of the mesh library.
    pub(crate) async fn end_after_panic(&self, claim: &Claim) {
        let error = Err(JobError::internal());
        self.end(claim, error, 0, Duration::ZERO).await;
        self.tidy(&claim.job, None).await;
    }

    /// The draft is left to the caller, unless the index has it.
    async fn to_the_end(&self, claim: &Claim, lane: Lane, draft: &mut Option<Draft>) {
        let began = Instant::now();
        let stopwatch = Stopwatch::start(self.timeout);
        let mut attempt = Attempt {
            claim,
            reporter: Arc::new(Reporter::new(&self.engine, &self.callbacks, claim)),
            stopwatch: stopwatch.clone(),
            draft,
        };
        // The end of a job that was cancelled does not wait for a line that is opened later, so
        // nothing may be told on it.
        if claim.stop.is_cancelled() {
            return;
        }
        let (mut lane, mut reuse) = (Some(lane), self.caches);
        loop {
            let make = self.make(&mut attempt, lane.take(), reuse);
            let made = match stopwatch.bound(make).await {
                Ok(made) => made,
                Err(TimeIsUp) => Err(timed_out(self.timeout)),
            };
            let (percent, is_made) = (attempt.reporter.last().percent, made.is_ok());
            match self.end(claim, made, percent, began.elapsed()).await {
                // Removed between the lookup and the record: rare, and made anew.
                Fenced::ResultGone if reuse => reuse = false,
                Fenced::Recorded if is_made => {
                    *attempt.draft = None;
                    return;
                }
                _ => return,
            }
        }
    }

    /// The result, from the cache or made and stored.
    async fn make(
        &self,
        attempt: &mut Attempt<'_>,
        lane: Option<Lane>,
        reuse: bool,
    ) -> Result<Made, JobError> {
        let Attempt {
            claim, stopwatch, ..
        } = attempt;
        // To the client the download is part of the first step, so that begins here.
        attempt.reporter.step(Step::LoadImage);
        fault::point("claimed").await;
        let image = self.load(&claim.job, stopwatch).await?;
        fault::point("loaded").await;
        drop(lane);
        let key = ResultKey::new(&image.digest, &claim.job.request.parameters);
        let stages = &self.metrics.stages;
        let alone = async {
            let flight = self.flights.enter(&key).await;
            // Of those in this process one alone waits for the other processes.
            (self.engine.turn(&Work::Result(key.clone())).await, flight)
        };
        let alone = stages.time("wait_same", alone);
        let (turn, flight) = stopwatch.apart(alone).await;
        let cached = match reuse {
            true => stopwatch.apart(self.cached(&key)).await,
            false => None,
        };
        if reuse {
            self.metrics.cache.looked_up(cached.is_some());
        }
        let result = match cached {
            Some(object) => StoredResult::Cached(object),
            None => self.compute_and_store(attempt, image, key).await?,
        };
        Ok(Made {
            result,
            _turn: turn,
            _flight: flight,
        })
    }

    async fn load(&self, job: &Job, stopwatch: &Stopwatch) -> Result<Image, JobError> {
        let _loading = Held::new(&self.metrics.sources.downloads);
        let began = Instant::now();
        let image = self
            .metrics
            .stages
            .time("download", self.image(job, stopwatch));
        let image = image.instrument(trace_span!("download")).await;
        self.pace.loaded(began.elapsed());
        match &image {
            Ok(image) => self.metrics.sources.bytes.record(image.bytes.len() as f64),
            Err(error) => self.metrics.sources.failed(error),
        }
        image
    }

    async fn image(&self, job: &Job, stopwatch: &Stopwatch) -> Result<Image, JobError> {
        match &job.request.source {
            Source::Url(url) => Ok(self.sources.load(url, stopwatch).await?),
            Source::Upload { digest } => self.upload(job, digest, stopwatch).await,
        }
    }

    async fn upload(
        &self,
        job: &Job,
        digest: &str,
        stopwatch: &Stopwatch,
    ) -> Result<Image, JobError> {
        let size = stored(|| self.storage.upload_size(&job.id, digest));
        let size = stopwatch.apart(size).await?;
        let memory = stopwatch.apart(self.memory.file(size)).await;
        let memory = memory.map_err(too_large)?;
        let bytes = stored(|| self.storage.get_upload(&job.id, digest));
        let bytes = stopwatch.apart(bytes).await?;
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
        attempt: &mut Attempt<'_>,
        image: Image,
        key: ResultKey,
    ) -> Result<StoredResult, JobError> {
        let stages = &self.metrics.stages;
        let slot = stages.time("wait_slot", self.slots.acquire());
        // The semaphore is never closed.
        let _slot = attempt.stopwatch.apart(slot).await.ok();
        let computed = self.compute(attempt, image).await?;
        fault::point("computed").await;
        let key = match computed.is_cut_short {
            // Who asks the same again may have more time.
            true => key.for_one(&attempt.claim.job),
            false => key,
        };
        let result = computed.result;
        let bytes = result.len() as u64;
        let draft = attempt.draft.insert(self.storage.draft(&key));
        let store = stages.time("store", store(draft, result));
        let store = store.instrument(trace_span!("store"));
        // A store that is not there is no fault of the job.
        attempt.stopwatch.apart(store).await;
        let object = draft.object().clone();
        fault::point("stored").await;
        Ok(StoredResult::New { key, object, bytes })
    }

    async fn compute(&self, attempt: &Attempt<'_>, image: Image) -> Result<Computed, JobError> {
        let Attempt {
            claim,
            reporter,
            stopwatch,
            ..
        } = attempt;
        let (parameters, limits) = (claim.job.request.parameters, self.limits);
        let memory = match ImageHeader::read(&image.bytes, &limits) {
            Ok(header) => memory::peak(&header, &parameters, &limits),
            // The run will say the same, and take no memory.
            Err(_) => 0,
        };
        let memory = stopwatch.apart(self.memory.computing(memory)).await;
        let memory = memory.map_err(too_large)?;
        let reporter = Arc::clone(reporter);
        let (stages, queued) = (self.metrics.stages.clone(), Instant::now());
        let job = Span::current();
        // Until there is a core for it.
        let pause = stopwatch.pause();
        let computed = self.cpu.run(move |stop| {
            drop(pause);
            let _memory = memory;
            stages.record("wait_core", queued);
            let _in_span = trace_span!(parent: &job, "compute").entered();
            let steps = stages.steps();
            let began = Instant::now();
            let given = parameters.deadline_ms.map(u64::from);
            let mut watch = Watch {
                reporter,
                stop,
                steps,
                deadline: given.map(|given| began + Duration::from_millis(given)),
            };
            let result = spinelift_mesh::generate(&image.bytes, &parameters, &limits, &mut watch)
                .map(|mesh| Computed::from(&mesh));
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
            (Fenced::Superseded, _) => {
                tracing::warn!("the job was ended otherwise; this attempt counts for nothing");
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

    async fn give_back(&self, claim: &Claim, draft: Option<Draft>) {
        let job_id = &claim.job.id;
        match self.engine.release(claim).await {
            Ok(_) => tracing::info!(%job_id, "job interrupted by the shutdown, to be resumed"),
            Err(error) => tracing::warn!(%job_id, %error, "job interrupted by the shutdown"),
        }
        // A storage that hangs must not keep the engine open.
        let _ = tokio::time::timeout(DISCARDING, self.discard(draft)).await;
    }

    /// Removes what only the running job needed.
    async fn tidy(&self, job: &Job, draft: Option<Draft>) {
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

/// Stores a result, as soon as that is possible.
async fn store(draft: &mut Draft, result: Bytes) {
    while let Err(error) = draft.write(result.clone()).await {
        tracing::error!(%error, "a result could not be stored, trying again");
        tokio::time::sleep(STORE_PAUSE).await;
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
