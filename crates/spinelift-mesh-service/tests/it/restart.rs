//! Restarts: nothing that was accepted is lost.

use crate::harness::{Origin, TestService, settings};
use serde_json::json;
use spinelift_mesh_service::engine::sqlite::{Bounds, SqliteEngine};
use spinelift_mesh_service::engine::{JobEngine, NewJob};
use spinelift_mesh_service::job::{JobId, JobRequest, Source};
use spinelift_mesh_service::{RedactedUrl, Service};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Leaves a database behind as a process does that was killed while it ran the job.
async fn die_running(directory: &Path, id: &str, origin: &Origin, times: u32) {
    for _ in 0..times {
        let bounds = Bounds {
            jobs_per_client: 1000,
            lanes: 16,
            client_lanes: 16,
            delivery_lanes: 16,
            queue_length: 10,
            attempts: 100,
        };
        let opened = SqliteEngine::open(&directory.join("jobs.db"), bounds).unwrap();
        let url = |path| RedactedUrl::new(origin.url(path).parse().unwrap());
        let job = NewJob {
            client: String::new(),
            request_id: None,
            id: JobId::parse(id).unwrap(),
            request: JobRequest {
                source: Source::Url(url("/disc.png")),
                parameters: spinelift_mesh::MeshParameters::default(),
                callback_url: Some(url("/callback")),
            },
            base_url: "http://127.0.0.1:1".into(),
        };
        opened.engine.accept(job).await.unwrap();
        let _claimed = opened.engine.claim().await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_job_that_was_running_is_run_again() {
    let (directory, origin) = (Arc::new(TempDir::new().unwrap()), Origin::start().await);
    die_running(directory.path(), "j", &origin, 1).await;
    let public = |s: &mut spinelift_mesh_service::Settings| s.public_url = None;
    let service = TestService::start_in(directory, public).await;
    let ended = service.ended("j").await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["attempts"], 2);
    assert_eq!(service.result("j").await.status, 200);
}

#[tokio::test]
async fn a_job_that_keeps_killing_the_process_is_given_up() {
    let (directory, origin) = (Arc::new(TempDir::new().unwrap()), Origin::start().await);
    die_running(directory.path(), "j", &origin, 3).await;
    let service = TestService::start_in(directory, |_| {}).await;
    let ended = service.ended("j").await;
    assert_eq!(ended["status"], "failed");
    assert_eq!(ended["error"]["code"], "ATTEMPTS_EXHAUSTED");
    assert_eq!(ended["error"]["details"]["attempts"], 3);
    // Its receiver hears of it.
    let events = origin.events("j").await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["status"], "failed");
    assert_eq!(events[0]["error"]["code"], "ATTEMPTS_EXHAUSTED");
    assert_eq!(origin.hits("/disc.png"), 0);
}

#[tokio::test]
async fn a_start_that_fails_keeps_no_last_callback_from_its_receiver() {
    let (directory, origin) = (Arc::new(TempDir::new().unwrap()), Origin::start().await);
    die_running(directory.path(), "j", &origin, 3).await;
    let mut taken = settings(directory.path());
    taken.port = origin.address().port();
    assert!(Service::start(taken).await.is_err());
    let _service = TestService::start_in(directory, |_| {}).await;
    let events = origin.events("j").await;
    assert_eq!(events[0]["error"]["code"], "ATTEMPTS_EXHAUSTED");
}

#[tokio::test]
async fn a_shutdown_gives_unfinished_jobs_to_the_next_start() {
    let origin = Origin::start().await;
    let brief = |s: &mut spinelift_mesh_service::Settings| {
        s.drain_timeout = Duration::from_millis(50);
        s.max_concurrent_downloads = 1.try_into().unwrap();
    };
    let service = TestService::start_with(brief).await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    service.accept("waits", &origin.url("/disc.png")).await;
    let directory = service.stop().await;

    origin.open_gate();
    let service = TestService::start_in(directory, brief).await;
    for id in ["runs", "waits"] {
        let ended = service.ended(id).await;
        assert_eq!(ended["status"], "completed");
        // The attempt that the shutdown cut short does not count against the job.
        assert_eq!(ended["attempts"], 1);
    }
}

#[tokio::test]
async fn a_shutdown_lets_running_jobs_end() {
    let origin = Origin::start().await;
    let service = TestService::start().await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    let stopping = tokio::spawn(service.stop());
    origin.open_gate();
    let directory = stopping.await.unwrap();
    let service = TestService::start_in(directory, |_| {}).await;
    let job = service.status("runs").await.body;
    assert_eq!(
        (&job["status"], &job["attempts"]),
        (&json!("completed"), &json!(1))
    );
    assert_eq!(service.result("runs").await.status, 200);
}

#[tokio::test]
async fn a_locked_database_answers_503_and_the_service_recovers() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let other = rusqlite::Connection::open(service.directory().join("jobs.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" });
    let refused = service.generate(&body).await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "STORAGE_UNAVAILABLE")
    );
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(service.get("/health").await.status, 200);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(service.generate(&body).await.status, 202);
    assert_eq!(service.ended("j").await["status"], "completed");
}
