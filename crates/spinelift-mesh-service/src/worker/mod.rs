//! Workers: they take jobs from the engine and run them. Many load images at a time, fewer compute.

mod cpu;
mod flight;
mod pace;
mod reporter;
mod run;
mod sweep;
mod uploads;

pub(crate) use cpu::CpuSlots;
pub(crate) use flight::Flights;
pub(crate) use pace::Pace;
pub(crate) use run::Runner;
pub(crate) use sweep::Sweeper;
pub(crate) use uploads::Uploads;

use crate::engine::{Claim, JobEngine, Lane};
use crate::outage::Outage;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Pause after the engine could not hand out a job: a full disk is not freed by asking faster.
const PAUSE: Duration = Duration::from_secs(1);

/// All workers of a service. Dropping them stops their jobs, which the next start resumes.
pub(crate) struct Workers {
    tasks: JoinSet<()>,
    engine: Arc<dyn JobEngine>,
    abandon: watch::Sender<bool>,
}

impl Workers {
    /// Starts `count` workers, each of which has one job at a time: as many images are loaded.
    pub(crate) fn start(count: usize, runner: &Arc<Runner>, engine: &Arc<dyn JobEngine>) -> Self {
        let abandon = watch::Sender::new(false);
        let mut tasks = JoinSet::new();
        let outage = Arc::new(Outage::default());
        for _ in 0..count {
            tasks.spawn(work(
                Arc::clone(runner),
                Arc::clone(engine),
                Arc::clone(&outage),
                abandon.subscribe(),
            ));
        }
        Self {
            tasks,
            engine: Arc::clone(engine),
            abandon,
        }
    }

    /// Begins no further job.
    pub(crate) fn stop(&self) {
        self.engine.stop_claiming();
    }

    /// Waits until the running jobs have ended.
    pub(crate) async fn drained(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }

    /// Gives the running jobs back to the engine, and waits until it has them.
    pub(crate) async fn abandon(&mut self) {
        // No receiver means that no worker is left.
        let _ = self.abandon.send(true);
        self.drained().await;
    }
}

/// Runs a job in a task of its own: a panic in it costs the job, not the worker.
async fn run(runner: &Arc<Runner>, claim: Claim, lane: Lane, mut abandon: watch::Receiver<bool>) {
    // A set, because dropping it stops the task.
    let mut task = JoinSet::new();
    task.spawn({
        let (runner, claim, abandon) = (Arc::clone(runner), claim.clone(), abandon.clone());
        async move { runner.run(&claim, lane, abandon).await }
    });
    if let Some(Err(error)) = task.join_next().await
        && error.is_panic()
    {
        tracing::error!(job_id = %claim.job.id, %error, "the worker panicked");
        tokio::select! {
            () = runner.end_after_panic(&claim) => {}
            // The job counts as interrupted by a crash.
            _ = abandon.wait_for(|abandoned| *abandoned) => {}
        }
    }
}

async fn work(
    runner: Arc<Runner>,
    engine: Arc<dyn JobEngine>,
    outage: Arc<Outage>,
    abandon: watch::Receiver<bool>,
) {
    loop {
        match engine.claim().await {
            Ok(Some((claim, lane))) => {
                if let Some(outage) = outage.is_over() {
                    let seconds = outage.as_secs_f64();
                    tracing::info!(seconds, "jobs are started again after an outage");
                }
                run(&runner, claim, lane, abandon.clone()).await;
            }
            Ok(None) => return,
            Err(error) => {
                if outage.is_news() {
                    tracing::error!(%error, "no job could be started; trying again every second");
                }
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
