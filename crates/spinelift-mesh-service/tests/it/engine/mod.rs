//! The engine by itself: what must hold for every implementation.

mod batches;
mod file;
mod outbox;
mod queue;
mod redis;
mod removal;
mod results;

use crate::harness::{RedisServer, eventually};
use serde_json::json;
use spinelift_mesh::{MeshParameters, Step};
use spinelift_mesh_service::RedactedUrl;
use spinelift_mesh_service::engine::redis::{OpenError, Options, RedisEngine, RedisUrl};
use spinelift_mesh_service::engine::sqlite::{self, Opened, SqliteEngine};
use spinelift_mesh_service::engine::{
    Accepted, Bounds, Claim, EngineError, Fenced, JobEngine, NewJob, Outbox, Outcome, ResultIndex,
    ResultKey, ResultObject, StoredResult,
};
use spinelift_mesh_service::job::{JobError, JobId, JobRequest, JobState, Progress, Source};
use std::path::Path;
use std::time::{Duration, Instant};
use tempfile::TempDir;

const BOUNDS: Bounds = Bounds {
    queue_length: 1000,
    jobs_per_client: 1000,
    lanes: 1000,
    client_lanes: 1000,
    delivery_lanes: 1000,
    attempts: 3,
};

/// Where the jobs of a test are: an engine knows what the one before has left, which is gone as if
/// its process had been killed.
trait Store {
    type Engine: JobEngine;

    async fn open_with(&self, bounds: Bounds) -> Self::Engine;

    async fn open(&self) -> Self::Engine {
        self.open_with(BOUNDS).await
    }
}

/// The embedded engine's.
impl Store for TempDir {
    type Engine = SqliteEngine;

    async fn open_with(&self, bounds: Bounds) -> SqliteEngine {
        let opened = SqliteEngine::open(&self.path().join("jobs.db"), bounds);
        opened.unwrap().engine
    }
}

/// The engine's in Redis: a namespace of its own.
struct Namespace {
    server: RedisServer,
    name: String,
}

impl Namespace {
    async fn new() -> Self {
        Self {
            server: RedisServer::shared().await,
            name: format!("test-{:016x}", fastrand::u64(..)),
        }
    }

    fn options(&self, bounds: Bounds) -> Options {
        Options {
            url: RedisUrl::parse(&self.server.url()).unwrap(),
            authorities: None,
            namespace: self.name.clone(),
            node: None,
            lease: LEASE,
            works: true,
            signing: None,
            bounds,
        }
    }
}

/// A crash is noticed after this time; so would be a test machine that does nothing for as long.
const LEASE: Duration = Duration::from_secs(5);

impl Store for Namespace {
    type Engine = RedisEngine;

    async fn open_with(&self, bounds: Bounds) -> RedisEngine {
        RedisEngine::open(self.options(bounds)).await.unwrap()
    }
}

/// Makes of each function below a test of each engine.
macro_rules! conformance {
    ($($module:ident: $($test:ident),*;)*) => {
        mod embedded {
            $($(#[tokio::test]
            async fn $test() {
                super::$module::$test(&tempfile::tempdir().unwrap()).await;
            })*)*
        }

        mod in_redis {
            $($(#[tokio::test]
            async fn $test() {
                super::$module::$test(&super::Namespace::new().await).await;
            })*)*
        }
    };
}

conformance! {
    queue: a_job_lives_from_accept_to_finish,
        jobs_are_handed_out_in_the_order_of_their_acceptance,
        an_attempt_that_was_ended_cannot_end_the_job_again,
        an_old_attempt_is_fenced_off_by_a_new_one,
        a_job_given_back_waits_again_and_its_attempt_does_not_count,
        a_restart_hands_out_what_was_running_until_its_attempts_are_spent,
        what_was_acknowledged_is_there_after_a_restart,
        many_workers_get_each_job_once,
        the_bound_of_the_queue_holds_within_one_group,
        a_closed_engine_says_so;
    removal: a_waiting_job_is_cancelled_and_makes_room_at_once,
        a_running_job_is_cancelled_and_its_attempt_counts_for_nothing,
        a_job_is_deleted_with_what_only_it_needs,
        what_ended_long_ago_expires_unless_somebody_has_still_to_be_told,
        jobs_are_listed_newest_first_and_by_state,
        a_watch_tells_of_every_change,
        what_was_begun_for_a_deleted_job_counts_for_nothing_to_the_next_of_its_name;
    outbox: the_end_of_a_job_with_a_receiver_is_to_be_told,
        a_delivery_is_handed_out_after_a_restart_until_it_is_delivered,
        attempts_are_logged_and_a_delivery_can_be_replayed,
        one_receiver_gets_so_many_at_a_time_and_no_other_waits_for_it,
        a_delivery_that_is_replayed_while_it_is_made_is_not_given_up;
    batches: a_batch_counts_the_ends_of_its_jobs_and_is_told_once,
        a_batch_is_accepted_whole_or_not_at_all,
        the_same_batch_is_known_and_another_is_a_conflict,
        to_cancel_a_batch_is_to_cancel_its_jobs,
        the_jobs_of_a_batch_are_listed_page_by_page;
    results: a_result_is_found_by_what_it_follows_from,
        a_result_that_has_gone_meanwhile_is_not_recorded,
        the_cache_shrinks_from_its_oldest_use_and_jobs_keep_their_results,
        only_what_nothing_refers_to_is_unused,
        a_secret_stays_the_same;
}

/// Opens what is closed. A process that another test is just starting may have the file open for a
/// moment, as it has all of this one, and its lock with it.
fn open(directory: &Path) -> Opened {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match SqliteEngine::open(&directory.join("jobs.db"), BOUNDS) {
            Err(sqlite::OpenError::InUse { .. }) if Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(1));
            }
            opened => return opened.unwrap(),
        }
    }
}

fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

fn url(text: &str) -> RedactedUrl {
    RedactedUrl::new(text.parse().unwrap())
}

fn request() -> JobRequest {
    JobRequest {
        source: Source::Url(url("http://example.com/a.png")),
        parameters: MeshParameters::default(),
        callback_url: None,
    }
}

fn job(name: &str) -> NewJob {
    NewJob {
        id: id(name),
        request: request(),
        base_url: "http://mesh.example".into(),
        client: "client".into(),
        request_id: None,
    }
}

/// A job whose end is to be told.
fn told_job(name: &str) -> NewJob {
    let mut job = job(name);
    job.request.callback_url = Some(url("http://receiver.example/callback"));
    job
}

/// Without the lane: the image is loaded at once.
async fn claim(engine: &impl JobEngine) -> Claim {
    engine.claim().await.unwrap().unwrap().0
}

async fn state(engine: &impl JobEngine, name: &str) -> JobState {
    engine.get(&id(name)).await.unwrap().unwrap().state
}

fn key(image: u8) -> ResultKey {
    ResultKey::new(&[image; 32], &MeshParameters::default())
}

/// A name that no other result has.
fn object(image: u8) -> ResultObject {
    let name = format!("{}-{:016x}", key(image).as_str(), fastrand::u64(..));
    ResultObject::parse(&name).unwrap()
}

/// A result of 100 bytes of its own.
fn result(image: u8) -> (Outcome, ResultObject) {
    let (key, object) = (key(image), object(image));
    let result = StoredResult::New {
        key,
        object: object.clone(),
        bytes: 100,
    };
    (Outcome::Completed(result), object)
}

fn completed() -> Outcome {
    result(fastrand::u8(..)).0
}

fn failed() -> Outcome {
    Outcome::Failed {
        error: JobError::new("CODE", "why", json!({ "n": 1 })),
        percent: 40,
    }
}
