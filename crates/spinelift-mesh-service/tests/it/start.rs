//! Starting, and refusing to start.

use crate::harness::settings;
use spinelift_mesh_service::engine::sqlite::OpenError;
use spinelift_mesh_service::settings::JobBackend;
use spinelift_mesh_service::{Service, Settings, StartError};
use std::path::Path;

async fn refusal(settings: Settings) -> StartError {
    match Service::start(settings).await {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn what_is_not_available_is_said_at_start() {
    let directory = tempfile::tempdir().unwrap();
    let mut redis = settings(directory.path());
    redis.job_backend = JobBackend::Redis;
    let text = refusal(redis).await.to_string();
    assert!(
        text.contains("JOB_BACKEND=redis") && text.contains("not available"),
        "{text}"
    );
}

#[tokio::test]
async fn a_database_has_one_owner() {
    let directory = tempfile::tempdir().unwrap();
    let first = Service::start(settings(directory.path())).await.unwrap();
    let error = refusal(settings(directory.path())).await;
    assert!(
        matches!(error, StartError::Jobs(OpenError::InUse { .. })),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("jobs.db"), "{text}");
    assert!(text.contains(&std::process::id().to_string()), "{text}");
    drop(first);
}

#[tokio::test]
async fn a_taken_port_is_said_to_be_taken() {
    let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let first = Service::start(settings(one.path())).await.unwrap();
    let mut second = settings(two.path());
    second.port = first.local_addr().port();
    let error = refusal(second).await;
    assert!(matches!(error, StartError::Listen { .. }), "{error}");
}

#[tokio::test]
async fn a_storage_path_that_is_no_directory_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("file");
    std::fs::write(&file, "").unwrap();
    let mut settings = settings(directory.path());
    settings.storage_path = file;
    let error = refusal(settings).await;
    assert!(error.to_string().contains("STORAGE_PATH"), "{error}");
}

fn sqlite(path: &Path, sql: &str) {
    rusqlite::Connection::open(path)
        .unwrap()
        .execute_batch(sql)
        .unwrap();
}

#[tokio::test]
async fn files_that_are_not_ours_are_refused_and_left_alone() {
    type Prepare = fn(&Path);
    type Expected = fn(&OpenError) -> bool;
    let cases: [(Prepare, Expected); 4] = [
        (
            |path| std::fs::write(path, "not a database, but long enough to look at").unwrap(),
            |error| matches!(error, OpenError::Corrupt { .. }),
        ),
        (
            |path| sqlite(path, "CREATE TABLE songs (title TEXT)"),
            |error| matches!(error, OpenError::Foreign { .. }),
        ),
        (
            |path| {
                sqlite(
                    path,
                    "PRAGMA application_id = 1397771341; PRAGMA user_version = 99;",
                )
            },
            |error| matches!(error, OpenError::Newer { found: 99, .. }),
        ),
        (
            |path| {
                let id = "PRAGMA application_id = 1397771341; PRAGMA user_version = 1;";
                sqlite(
                    path,
                    &format!("{id} CREATE TABLE a (b); CREATE INDEX c ON a (b);"),
                );
                let mut bytes = std::fs::read(path).unwrap();
                let half = bytes.len() / 2;
                bytes[half..].fill(0xAA);
                std::fs::write(path, bytes).unwrap();
            },
            |error| matches!(error, OpenError::Corrupt { .. }),
        ),
    ];
    for (number, (prepare, expected)) in cases.into_iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("jobs.db");
        prepare(&path);
        let before = std::fs::read(&path).unwrap();
        match refusal(settings(directory.path())).await {
            StartError::Jobs(error) if expected(&error) => {
                assert!(error.to_string().contains("jobs.db"), "{error}");
            }
            other => panic!("case {number}: {other}"),
        }
        assert_eq!(std::fs::read(&path).unwrap(), before, "case {number}");
    }
}
