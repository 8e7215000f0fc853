//! From the image to a stored result.

use super::{Attempt, Runner, STORE_PAUSE};
use crate::engine::{Lane, ResultKey, ResultObject, StoredResult, Turn, Work};
use crate::fault;
use crate::job::{Job, JobError, Source};
use crate::memory::TooLarge;
use crate::metrics::Held;
use crate::source::Image;
use crate::stopwatch::Stopwatch;
use crate::storage::{Draft, StorageError};
use crate::worker::flight::Flight;
use crate::worker::reporter::Watch;
use axum::body::Bytes;
use serde_json::json;
use spinelift_mesh::image::ImageHeader;
use spinelift_mesh::{Mesh, Step, Warning, memory};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tracing::{Instrument, Span, trace_span};

/// A result, and the right to make it, which ends when it is recorded.
pub(super) struct Made {
    pub(super) result: StoredResult,
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
    /// The result, from the cache or made and stored.
    pub(super) async fn make(
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
