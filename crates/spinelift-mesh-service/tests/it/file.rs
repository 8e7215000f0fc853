//! The database file: what is damaged in it, what is left beside it, and how it is named.

use serde_json::json;
use spinelift_mesh::MeshParameters;
use spinelift_mesh_service::RedactedUrl;
use spinelift_mesh_service::engine::sqlite::{Bounds, OpenError, Opened, SqliteEngine};
use spinelift_mesh_service::engine::{EngineError, JobEngine, NewJob};
use spinelift_mesh_service::job::{JobId, JobRequest, JobState};
use std::path::Path;
use std::sync::Arc;

const BOUNDS: Bounds = Bounds {
    queue_length: 1000,
    attempts: 3,
};

fn open(directory: &Path) -> Opened {
    SqliteEngine::open(&directory.join("jobs.db"), BOUNDS).unwrap()
}

fn id(text: &str) -> JobId {
    JobId::parse(text).unwrap()
}

fn job(text: &str) -> NewJob {
    NewJob {
        id: id(text),
        request: JobRequest {
            image_url: RedactedUrl::new("http://example.com/a.png".parse().unwrap()),
            parameters: MeshParameters::default(),
            callback_url: None,
        },
        base_url: "http://mesh.example".into(),
    }
}

fn edit(directory: &Path, sql: &str) {
    rusqlite::Connection::open(directory.join("jobs.db"))
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

#[tokio::test]
async fn a_job_that_cannot_be_read_does_not_hold_up_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    engine.accept(job("bad")).await.unwrap();
    engine.accept(job("good")).await.unwrap();
    edit(
        directory.path(),
        "UPDATE jobs SET request = '{}' WHERE id = 'bad'",
    );
    let claim = engine.claim().await.unwrap().unwrap();
    assert_eq!(claim.job.id.as_str(), "good");
    for refused in [
        engine.get(&id("bad")).await.map(|_| ()),
        engine.accept(job("bad")).await.map(|_| ()),
    ] {
        assert!(matches!(refused, Err(EngineError::Damaged { .. })));
    }
    drop(engine);
    // It is not tried again.
    assert_eq!(open(directory.path()).resumed, 1);
}

#[tokio::test]
async fn a_job_that_cannot_be_read_does_not_keep_the_service_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    for name in ["bad", "spent"] {
        engine.accept(job(name)).await.unwrap();
    }
    drop(engine);
    edit(
        directory.path(),
        "UPDATE jobs SET state = 'running', attempts = 3; \
         UPDATE jobs SET request = '{}' WHERE id = 'bad'",
    );
    let opened = open(directory.path());
    let exhausted: Vec<_> = opened.exhausted.iter().map(|job| job.id.as_str()).collect();
    assert_eq!(exhausted, ["spent"]);
    let JobState::Failed(error) = &opened.exhausted[0].state else {
        panic!("it failed");
    };
    assert_eq!(error.details, json!({ "attempts": 3 }));
    // Callbacks say the same as the status does.
    assert_eq!(opened.exhausted[0].progress.message, error.message);
}

fn files(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_stop_leaves_nothing_but_the_file_and_its_lock() {
    for by_drop in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let engine = Arc::new(open(directory.path()).engine);
        engine.accept(job("a")).await.unwrap();
        // The reader is busy when the engine is told to end.
        let mut lookups = tokio::task::JoinSet::new();
        for _ in 0..2000 {
            let engine = Arc::clone(&engine);
            lookups.spawn(async move { engine.get(&id("a")).await.map(|_| ()) });
        }
        tokio::task::yield_now().await;
        if by_drop {
            lookups.shutdown().await;
        } else {
            engine.close().await;
        }
        drop(engine);
        assert_eq!(files(directory.path()), ["jobs.db", "jobs.db.lock"]);
    }
}

#[cfg(unix)]
#[test]
fn a_file_under_two_names_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let (file, link) = (
        directory.path().join("jobs.db"),
        directory.path().join("link.db"),
    );
    let first = SqliteEngine::open(&file, BOUNDS).unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let second = SqliteEngine::open(&link, BOUNDS).map(|_| ());
    assert!(matches!(second, Err(OpenError::InUse { .. })));
    drop(first);
    assert!(SqliteEngine::open(&link, BOUNDS).is_ok());
}
