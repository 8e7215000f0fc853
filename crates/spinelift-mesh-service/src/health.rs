//! Whether the service can do its work: what `/health/ready` tells load balancers and people.

use crate::engine::{Backlog, EngineError, JobEngine};
use crate::settings::{JobBackend, Role, Settings, StorageBackend};
use crate::storage::{Storage, StorageError};
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Longest wait for a check: a disk that hangs is as bad as one that is full.
const LIMIT: Duration = Duration::from_secs(2);

/// How long the answers of the disks are good for: probes must not wear them out. Those that
/// something fails are good for no longer anywhere, so that it is soon seen when it works again.
const FRESH: Duration = Duration::from_secs(1);

/// How long it is good for that a bucket is fine: each look at it is several requests, which cost.
const FRESH_BUCKET: Duration = Duration::from_secs(5);

/// What is no reason to send requests elsewhere: they are accepted here as well as anywhere.
const NOBODY_WORKS: &str = "no process that runs jobs (ROLE=worker or all) is alive: jobs wait until \
                            one starts";

/// Answers whether requests should be sent here.
pub(crate) struct Readiness {
    engine: Arc<dyn JobEngine>,
    storage: Storage,
    activity: Arc<Activity>,
    jobs: Jobs,
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
            jobs: Jobs::of(settings),
            queue_length: settings.max_queue_length.get(),
            job_timeout: settings.job_timeout,
            draining: AtomicBool::new(false),
            disks: tokio::sync::Mutex::new(Disks::of(settings)),
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
        let backlog = timeout(LIMIT, self.engine.backlog()).await;
        let backlog = backlog.ok().and_then(Result::ok);
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
                backlog
                    .filter(|_| self.jobs.run_here)
                    .map_or(Ok(()), |backlog| workers(backlog, idle, self.job_timeout)),
            ),
            ("draining", draining(self.draining.load(Ordering::Relaxed))),
        ];
        let is_ready = checks.iter().all(|(_, check)| check.is_ok());
        let mut checks = Value::from(checks.into_iter().map(shown).collect::<Map<_, _>>());
        if self.engine.nobody_works() {
            checks["workers"]["note"] = NOBODY_WORKS.into();
        }
        Report { is_ready, checks }
    }

    /// Whether jobs and results can be written.
    async fn disks(&self) -> [Check; 2] {
        let mut disks = self.disks.lock().await;
        let (engine, storage) = (Arc::clone(&self.engine), self.storage.clone());
        let (place, remedy) = (self.jobs.place, self.jobs.remedy);
        let jobs = async move {
            let written = engine.check().await;
            written.map_err(|error| {
                tracing::warn!(%error, "{place} cannot be written");
                if let EngineError::Unusable { reason } = error {
                    return format!("{place} cannot be used: {reason}");
                }
                format!("{place} cannot be written: see the log, and {remedy}")
            })
        };
        let objects = async move {
            let written = storage.check().await;
            written.map_err(|error| {
                tracing::warn!(%error, "the result storage cannot be written");
                if let StorageError::OtherFolder = error {
                    return error.to_string();
                }
                format!(
                    "results cannot be stored: see the log, and check {}",
                    storage.remedy()
                )
            })
        };
        let objects_place = format!("the result storage ({})", self.storage.settings());
        let Disks {
            jobs: jobs_probe,
            objects: objects_probe,
        } = &mut *disks;
        let (jobs, objects) = tokio::join!(
            jobs_probe.answer(place, jobs),
            objects_probe.answer(&objects_place, objects),
        );
        [jobs, objects]
    }
}

/// Where the jobs are, for people.
struct Jobs {
    place: &'static str,
    remedy: &'static str,
    /// Whether this process runs some.
    run_here: bool,
}

impl Jobs {
    fn of(settings: &Settings) -> Self {
        let (place, remedy) = match settings.job_backend {
            JobBackend::Embedded => (
                "the job database (DATABASE_PATH)",
                "check the disk of DATABASE_PATH for space and permissions",
            ),
            JobBackend::Redis => (
                "Redis (REDIS_URL)",
                "check that it runs, can be reached, and has memory and disk left",
            ),
        };
        Self {
            place,
            remedy,
            run_here: settings.role != Role::Api,
        }
    }
}

/// Where jobs are, and where results are.
struct Disks {
    jobs: Probe,
    objects: Probe,
}

impl Disks {
    fn of(settings: &Settings) -> Self {
        Self {
            jobs: Probe::new(FRESH),
            objects: Probe::new(match settings.storage_backend {
                StorageBackend::Local => FRESH,
                StorageBackend::S3 => FRESH_BUCKET,
            }),
        }
    }
}

/// A check that may hang. It is not begun again before it has ended: each one that hangs takes a
/// thread.
struct Probe {
    asked: Option<JoinHandle<Check>>,
    /// The last answer.
    known: Option<(Instant, Check)>,
    /// How long it is good for that all is fine.
    fresh: Duration,
}

impl Probe {
    fn new(fresh: Duration) -> Self {
        Self {
            asked: None,
            known: None,
            fresh,
        }
    }

    /// The last answer, or a new one.
    async fn answer(
        &mut self,
        what: &str,
        check: impl Future<Output = Check> + Send + 'static,
    ) -> Check {
        if let Some((at, known)) = &self.known {
            let fresh = if known.is_ok() { self.fresh } else { FRESH };
            if at.elapsed() < fresh {
                return known.clone();
            }
        }
        let answer = self.ask(what, check).await;
        self.known = Some((Instant::now(), answer.clone()));
        answer
    }

    async fn ask(
        &mut self,
        what: &str,
        check: impl Future<Output = Check> + Send + 'static,
    ) -> Check {
        let task = self.asked.get_or_insert_with(|| tokio::spawn(check));
        let Ok(ended) = timeout(LIMIT, task).await else {
            return Err(format!(
                "{what} does not answer within {} s: check its disk or server",
                LIMIT.as_secs()
            ));
        };
        self.asked = None;
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
    use tokio::time::advance;

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

    #[tokio::test(start_paused = true)]
    async fn an_answer_is_good_for_its_time_and_a_failure_for_a_second() {
        for fresh in [FRESH, FRESH_BUCKET] {
            let mut probe = Probe::new(fresh);
            let fails = || Err("full".to_owned());
            for (answer, good_for) in [(Ok(()), fresh), (fails(), FRESH), (Ok(()), fresh)] {
                let asked = answer.clone();
                let found = probe.answer("the disk", async { asked }).await;
                assert_eq!(found, answer, "it is asked anew");
                advance(good_for.mul_f64(0.9)).await;
                let unasked = async { unreachable!("the answer is good still") };
                assert_eq!(probe.answer("the disk", unasked).await, answer);
                advance(good_for.mul_f64(0.1)).await;
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_check_that_hangs_is_a_failure_and_is_not_begun_again() {
        let (answer, answered) = tokio::sync::oneshot::channel::<()>();
        let mut probe = Probe::new(FRESH);
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
