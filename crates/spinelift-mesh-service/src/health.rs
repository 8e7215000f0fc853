//! Whether the service can do its work: what `/health/ready` tells load balancers and people.

use crate::engine::{Backlog, EngineError, JobEngine};
use crate::settings::Settings;
use crate::storage::Storage;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::task::JoinHandle;

/// Longest wait for a check: a disk that hangs is as bad as one that is full.
const LIMIT: Duration = Duration::from_secs(2);

/// How long the answers of the disks are good for: probes must not wear them out.
const FRESH: Duration = Duration::from_secs(1);

/// Answers whether requests should be sent here.
pub(crate) struct Readiness {
    engine: Arc<dyn JobEngine>,
    storage: Storage,
    activity: Arc<Activity>,
    queue_length: usize,
    job_timeout: Duration,
    draining: AtomicBool,
    /// Probes that come while another one asks wait for its answer.
    disks: tokio::sync::Mutex<Disks>,
}

/// Fine, or what is wrong and what to do about it.
type Check = Result<(), String>;

/// What was found, and whether all of it is fine.
pub(crate) struct Report {
    pub(crate) is_ready: bool,
    pub(crate) checks: Value,
}

impl Readiness {
    pub(crate) fn new(
        engine: Arc<dyn JobEngine>,
        storage: Storage,
        activity: Arc<Activity>,
        settings: &Settings,
    ) -> Self {
        Self {
            engine,
            storage,
            activity,
            queue_length: settings.max_queue_length.get(),
            job_timeout: settings.job_timeout,
            draining: AtomicBool::new(false),
            disks: tokio::sync::Mutex::default(),
        }
    }

    /// From now on no more requests should come.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Checks everything, which takes a little more than [`LIMIT`] at the most.
    pub(crate) async fn report(&self) -> Report {
        let [jobs, storage] = self.disks().await;
        // If it cannot be told, the check of the jobs says so.
        let backlog = self.engine.backlog().await.ok();
        let idle = self.activity.idle();
        let checks = [
            ("jobs", jobs),
            ("storage", storage),
            (
                "queue",
                backlog.map_or(Ok(()), |backlog| queue(backlog, self.queue_length)),
            ),
            (
                "workers",
                backlog.map_or(Ok(()), |backlog| workers(backlog, idle, self.job_timeout)),
            ),
            ("draining", draining(self.draining.load(Ordering::Relaxed))),
        ];
        Report {
            is_ready: checks.iter().all(|(_, check)| check.is_ok()),
            checks: checks.into_iter().map(shown).collect::<Map<_, _>>().into(),
        }
    }

    /// Whether jobs and results can be written.
    async fn disks(&self) -> [Check; 2] {
        let mut disks = self.disks.lock().await;
        if let Some(known) = disks.fresh(Instant::now()) {
            return known.clone();
        }
        let (engine, storage) = (Arc::clone(&self.engine), self.storage.clone());
        let jobs = async move {
            let written = engine.check().await;
            written.map_err(|error| {
                tracing::warn!(%error, "the job database cannot be written");
                if let EngineError::Unusable { reason } = error {
                    return format!("the job database cannot be used: {reason}");
                }
                "the job database cannot be written: see the log, and check the disk of \
                 DATABASE_PATH for space and permissions"
                    .to_owned()
            })
        };
        let objects = async move {
            let written = storage.check().await;
            written.map_err(|error| {
                tracing::warn!(%error, "the result storage cannot be written");
                format!(
                    "results cannot be stored: see the log, and check {}",
                    storage.remedy()
                )
            })
        };
        let place = format!("the result storage ({})", self.storage.settings());
        let Disks {
            jobs: jobs_probe,
            objects: objects_probe,
            known,
        } = &mut *disks;
        let (jobs, objects) = tokio::join!(
            jobs_probe.ask("the job database (DATABASE_PATH)", jobs),
            objects_probe.ask(&place, objects),
        );
        let checks = [jobs, objects];
        *known = Some((Instant::now(), checks.clone()));
        checks
    }
}

/// What the disks answered last, and the questions that they have not answered yet.
#[derive(Default)]
struct Disks {
    jobs: Probe,
    objects: Probe,
    known: Option<(Instant, [Check; 2])>,
}

impl Disks {
    fn fresh(&self, now: Instant) -> Option<&[Check; 2]> {
        let (at, known) = self.known.as_ref()?;
        (now.saturating_duration_since(*at) < FRESH).then_some(known)
    }
}

/// A check that may hang. It is not begun again before it has ended: each one that hangs takes a
/// thread.
#[derive(Default)]
struct Probe(Option<JoinHandle<Check>>);

impl Probe {
    async fn ask(
        &mut self,
        what: &str,
        check: impl Future<Output = Check> + Send + 'static,
    ) -> Check {
        let task = self.0.get_or_insert_with(|| tokio::spawn(check));
        let Ok(ended) = tokio::time::timeout(LIMIT, task).await else {
            return Err(format!(
                "{what} does not answer within {} s: check its disk or server",
                LIMIT.as_secs()
            ));
        };
        self.0 = None;
        ended.unwrap_or_else(|_| Err(format!("the check of {what} failed: see the log")))
    }
}

fn queue(backlog: Backlog, limit: usize) -> Check {
    if backlog.waiting < limit {
        return Ok(());
    }
    Err(format!(
        "the queue is full, {limit} jobs are waiting: wait, add machines, or raise MAX_QUEUE_LENGTH"
    ))
}

/// Every job that a worker has ends within its timeout. If jobs have been waiting for longer, and
/// none has begun or ended meanwhile, then none will.
fn workers(backlog: Backlog, idle: Duration, job_timeout: Duration) -> Check {
    let stuck = backlog.waiting > 0 && backlog.oldest.min(idle) > job_timeout;
    if !stuck {
        return Ok(());
    }
    Err(format!(
        "{} jobs are waiting, and none has begun or ended for {} s, longer than JOB_TIMEOUT: \
         restart the service, which loses none of them",
        backlog.waiting,
        idle.as_secs()
    ))
}

fn draining(draining: bool) -> Check {
    match draining {
        false => Ok(()),
        true => Err("the service is shutting down: send requests elsewhere".to_owned()),
    }
}

fn shown((name, check): (&str, Check)) -> (String, Value) {
    let value = match check {
        Ok(()) => json!({ "ok": true }),
        Err(reason) => json!({ "ok": false, "reason": reason }),
    };
    (name.to_owned(), value)
}

/// When a job began or ended last.
#[derive(Debug)]
pub(crate) struct Activity(Mutex<Instant>);

impl Default for Activity {
    fn default() -> Self {
        Self(Mutex::new(Instant::now()))
    }
}

impl Activity {
    /// A job begins or ends.
    pub(crate) fn note(&self) {
        *self.0.lock() = Instant::now();
    }

    fn idle(&self) -> Duration {
        self.0.lock().elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backlog(waiting: usize, oldest: u64) -> Backlog {
        Backlog {
            waiting,
            oldest: Duration::from_secs(oldest),
        }
    }

    #[test]
    fn workers_are_stuck_when_jobs_wait_and_nothing_moves() {
        let stuck = |waiting, oldest, idle| {
            let idle = Duration::from_secs(idle);
            workers(backlog(waiting, oldest), idle, Duration::from_secs(600)).is_err()
        };
        assert!(stuck(1, 601, 601));
        assert!(!stuck(0, 0, 100_000), "nothing to do");
        assert!(!stuck(1, 1, 100_000), "the first job after a quiet night");
        assert!(!stuck(9, 100_000, 599), "a long queue that moves");
    }

    #[test]
    fn a_full_queue_has_no_room() {
        assert!(queue(backlog(9, 0), 10).is_ok());
        let reason = queue(backlog(10, 0), 10).expect_err("full");
        assert!(reason.contains("MAX_QUEUE_LENGTH"), "{reason}");
    }

    #[test]
    fn what_the_disks_answered_is_good_for_a_second() {
        let now = Instant::now();
        let known = [Ok(()), Err("full".to_owned())];
        let disks = Disks {
            known: Some((now, known.clone())),
            ..Disks::default()
        };
        assert_eq!(disks.fresh(now + FRESH.mul_f64(0.9)), Some(&known));
        assert_eq!(disks.fresh(now + FRESH), None);
        assert_eq!(Disks::default().fresh(now), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_a_failure_and_is_not_begun_again() {
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let mut probe = Probe::default();
        let hangs = async move { answered.await.map_err(|error| error.to_string()) };
        let reason = probe.ask("the disk", hangs).await.expect_err("hangs");
        assert!(reason.contains("the disk does not answer"), "{reason}");

        let second = async { unreachable!("the first one is still asked") };
        assert!(probe.ask("the disk", second).await.is_err());

        answer.send(()).expect("it is waited for");
        let third = async { unreachable!("the first one has an answer") };
        assert_eq!(probe.ask("the disk", third).await, Ok(()));
        assert_eq!(probe.ask("the disk", async { Ok(()) }).await, Ok(()));
    }
}
