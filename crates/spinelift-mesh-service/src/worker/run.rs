//! One job, from its image to its result.

use super::cpu::{CpuSlots, StopFlag};
use super::pace::Pace;
use crate::callback::{CallbackLine, Callbacks, Final};
use crate::engine::{Claim, Fenced, JobEngine, Outcome};
use crate::job::{JobError, Progress};
use crate::result_url::ResultUrls;
use crate::source::Sources;
use crate::storage::ResultStore;
use axum::body::Bytes;
use parking_lot::Mutex;
use serde_json::json;
use spinelift_mesh::{Limits, Observer, Step};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::Instrument;

/// Tries at storing a result, and the pause between them.
const STORE_TRIES: u32 = 3;
const STORE_PAUSE: Duration = Duration::from_millis(500);

/// Pause between tries at recording the end of a job.
const FINISH_PAUSE: Duration = Duration::from_secs(1);

/// All that running a job takes.
pub(crate) struct Runner {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) sources: Sources,
    pub(crate) results: ResultStore,
    pub(crate) callbacks: Callbacks,
    pub(crate) result_urls: ResultUrls,
    pub(crate) cpu: CpuSlots,
    pub(crate) limits: Limits,
    pub(crate) timeout: Duration,
    pub(crate) pace: Arc<Pace>,
}

impl Runner {
    /// Runs a job to its end, or gives it back as soon as `abandon` says so.
    pub(crate) async fn run(&self, claim: &Claim, mut abandon: watch::Receiver<bool>) {
        let span = tracing::info_span!("job", job_id = %claim.job.id, attempt = claim.job.attempts);
        let work = self.to_the_end(claim);
        let abandoned = async {
            // An error means that the workers are gone: the same thing.
            let _ = abandon.wait_for(|abandoned| *abandoned).await;
        };
        tokio::select! {
            () = work.instrument(span) => {}
            () = abandoned => self.give_back(claim).await,
        }
    }

    /// Ends a job whose run panicked outside of the mesh library.
    pub(crate) async fn end_after_panic(&self, claim: &Claim) {
        let reporter = Reporter::new(self, claim);
        let error = Err(JobError::internal());
        self.end(claim, &reporter, error, Duration::ZERO).await;
    }

    async fn to_the_end(&self, claim: &Claim) {
        let began = Instant::now();
        let reporter = Arc::new(Reporter::new(self, claim));
        let result = match tokio::time::timeout(self.timeout, self.mesh(claim, &reporter)).await {
            Ok(result) => result,
            Err(_) => Err(timed_out(self.timeout)),
        };
        let result = match result {
            Ok(bytes) => self.store(claim, bytes).await,
            Err(error) => Err(error),
        };
        self.pace.record(began.elapsed());
        self.end(claim, &reporter, result, began.elapsed()).await;
    }

    /// The result JSON.
    async fn mesh(&self, claim: &Claim, reporter: &Arc<Reporter>) -> Result<Bytes, JobError> {
        let request = &claim.job.request;
        // To the client the download is part of the first step, so that begins here.
        reporter.step(Step::LoadImage);
        let image = self.sources.load(&request.image_url).await?;
        let (parameters, limits) = (request.parameters, self.limits);
        let reporter = Arc::clone(reporter);
        let computed = self.cpu.run(move |stop| {
            let mut watch = Watch { reporter, stop };
            spinelift_mesh::generate(&image.bytes, &parameters, &limits, &mut watch)
                .map(|mesh| Bytes::from(mesh.to_json()))
        });
        match computed.await {
            Ok(result) => result.map_err(JobError::from),
            Err(panic) => {
                tracing::error!(panic = panic.0, "the mesh library panicked");
                Err(JobError::internal())
            }
        }
    }

    async fn store(&self, claim: &Claim, result: Bytes) -> Result<(), JobError> {
        for tried in 1.. {
            match self.results.put(&claim.job.id, result.clone()).await {
                Ok(()) => break,
                Err(error) if tried < STORE_TRIES => {
                    tracing::warn!(%error, tried, "the result could not be stored, trying again");
                    tokio::time::sleep(STORE_PAUSE).await;
                }
                Err(error) => {
                    tracing::error!(%error, "the result could not be stored");
                    return Err(JobError::new(
                        "RESULT_STORE_FAILED",
                        "The mesh was made, but could not be stored",
                        json!({ "tries": tried }),
                    ));
                }
            }
        }
        Ok(())
    }

    /// Records the end, and tells of it only then.
    async fn end(
        &self,
        claim: &Claim,
        reporter: &Reporter,
        result: Result<(), JobError>,
        took: Duration,
    ) {
        let last = reporter.last();
        let outcome = match &result {
            Ok(()) => Outcome::Completed,
            Err(error) => Outcome::Failed {
                error: error.clone(),
                percent: last.percent,
            },
        };
        if self.record(claim, outcome).await == Fenced::Superseded {
            tracing::warn!("the job was ended by another attempt; this one counts for nothing");
            return;
        }
        let milliseconds = took.as_millis() as u64;
        match result {
            Ok(()) => {
                tracing::info!(milliseconds, "job completed");
                let result_url = self.result_urls.of(&claim.job);
                reporter.end(&Step::Finalize.into(), Final::Completed { result_url });
            }
            Err(error) => {
                tracing::info!(milliseconds, code = %error.code, reason = error.message, "job failed");
                let progress = Progress {
                    percent: last.percent,
                    message: error.message.clone().into(),
                };
                reporter.end(&progress, Final::Failed { error });
            }
        }
    }

    /// As long as the store is unavailable the job has not ended: to give up would be to run it
    /// once more after the next start.
    async fn record(&self, claim: &Claim, outcome: Outcome) -> Fenced {
        loop {
            match self.engine.finish(claim, outcome.clone()).await {
                Ok(fenced) => return fenced,
                Err(error) => {
                    tracing::error!(%error, "the end of a job could not be recorded, trying again");
                    tokio::time::sleep(FINISH_PAUSE).await;
                }
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
}

fn timed_out(limit: Duration) -> JobError {
    let seconds = limit.as_secs_f64();
    JobError::new(
        "JOB_TIMEOUT",
        format!("The job did not end within {seconds} s"),
        json!({ "job_timeout": seconds }),
    )
}

/// Passes the progress of an attempt on, to the engine and to the job's receiver.
struct Reporter {
    engine: Arc<dyn JobEngine>,
    claim: Claim,
    state: Mutex<State>,
}

struct State {
    last: Progress,
    /// Gone once the job has ended.
    line: Option<CallbackLine>,
}

impl Reporter {
    fn new(runner: &Runner, claim: &Claim) -> Self {
        Self {
            engine: Arc::clone(&runner.engine),
            claim: claim.clone(),
            state: Mutex::new(State {
                last: Progress::STARTED,
                line: Some(runner.callbacks.open(&claim.job)),
            }),
        }
    }

    /// A step begins. The last one is not passed on: to the client the job is complete when its
    /// result is stored, and [`end`](Self::end) says so.
    fn step(&self, step: Step) {
        let progress = Progress::from(step);
        let mut state = self.state.lock();
        if step == Step::Finalize || progress.percent <= state.last.percent {
            return;
        }
        self.engine.report(&self.claim, progress.clone());
        if let Some(line) = &state.line {
            line.progress(&progress);
        }
        state.last = progress;
    }

    fn last(&self) -> Progress {
        self.state.lock().last.clone()
    }

    fn end(&self, progress: &Progress, end: Final) {
        if let Some(line) = self.state.lock().line.take() {
            line.end(progress, end);
        }
    }
}

/// Watches the computation for a [`Reporter`], and stops it when nobody waits any more.
struct Watch {
    reporter: Arc<Reporter>,
    stop: StopFlag,
}

impl Observer for Watch {
    fn step(&mut self, step: Step) -> ControlFlow<()> {
        self.poll()?;
        self.reporter.step(step);
        ControlFlow::Continue(())
    }

    fn poll(&mut self) -> ControlFlow<()> {
        if self.stop.is_raised() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
