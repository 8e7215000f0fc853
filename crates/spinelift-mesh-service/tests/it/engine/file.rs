//! The embedded engine's file: what is damaged in it, what is left beside it, how it is named,
//! and how an older one is read.

use super::*;
use sha2::{Digest, Sha256};
use spinelift_mesh_service::engine::Cancelled;
use spinelift_mesh_service::engine::sqlite::OpenError as FileError;
use std::sync::Arc;

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
    assert_eq!(claim(&engine).await.job.id, id("good"));
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
    assert_eq!(opened.exhausted, 2);
    let spent = opened.engine.get(&id("spent")).await.unwrap().unwrap();
    let JobState::Failed(error) = &spent.state else {
        panic!("it failed");
    };
    assert_eq!(error.details, json!({ "attempts": 3 }));
    assert_eq!(spent.progress.message, error.message);
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
    assert!(matches!(second, Err(FileError::InUse { .. })));
    drop(first);
    assert!(SqliteEngine::open(&link, BOUNDS).is_ok());
}

/// The schema of version 1.0.0, with a job in each state.
const VERSION_1: &str = "
    CREATE TABLE jobs (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, request TEXT NOT NULL,
        base_url TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed')),
        attempts INTEGER NOT NULL DEFAULT 0, percent INTEGER NOT NULL DEFAULT 0, error TEXT,
        created_at INTEGER NOT NULL, started_at INTEGER, finished_at INTEGER
    ) STRICT;
    CREATE INDEX jobs_unfinished ON jobs (seq) WHERE state IN ('queued', 'running');
    PRAGMA application_id = 1397771341;
    PRAGMA user_version = 1;
    INSERT INTO jobs (id, request, base_url, state, attempts, percent, created_at, finished_at)
    SELECT column1, '{\"image_url\":\"http://example.com/a.png\",\"parameters\":PARAMETERS,\"callback_url\":\"http://receiver.example/\"}',
           'http://mesh.example', column1, column2, column3, 1000, column4
    FROM (VALUES ('queued', 0, 0, NULL), ('running', 1, 0, NULL), ('completed', 1, 100, 2000));
";

#[tokio::test]
async fn a_file_of_the_first_version_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let parameters = serde_json::to_string(&MeshParameters::default()).unwrap();
    edit(
        directory.path(),
        &VERSION_1.replace("PARAMETERS", &parameters),
    );
    let opened = open(directory.path());
    let engine = opened.engine;
    assert_eq!(
        (opened.resumed, engine.backlog().await.unwrap().waiting),
        (1, 2)
    );
    let done = engine.get(&id("completed")).await.unwrap().unwrap();
    assert_eq!(done.state, JobState::Completed);
    let name: String = Sha256::digest("completed")
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    assert_eq!(
        done.result,
        ResultObject::parse(&name),
        "where its result always was"
    );
    let next = claim(&engine).await;
    assert_eq!(next.job.id, id("queued"));
    engine.finish(&next, failed()).await.unwrap();
    let (delivery, _lane) = engine.due().await.unwrap().unwrap();
    assert_eq!(delivery.receiver, "receiver.example:80");
}

#[tokio::test]
async fn a_file_of_the_second_version_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    for name in ["ended", "a", "b"] {
        engine.accept(told_job(name)).await.unwrap();
    }
    let first = claim(&engine).await;
    engine.finish(&first, failed()).await.unwrap();
    engine.close().await;
    drop(engine);
    // As version 2 had it.
    edit(
        directory.path(),
        "ALTER TABLE jobs DROP COLUMN generation; ALTER TABLE batches DROP COLUMN generation; \
         ALTER TABLE deliveries DROP COLUMN generation; \
         UPDATE jobs SET server = server || ':80'; PRAGMA user_version = 2;",
    );
    for _ in 0..2 {
        let engine = open(directory.path()).engine;
        let ended = engine.get(&id("ended")).await.unwrap().unwrap();
        let (delivery, _lane) = engine.due().await.unwrap().unwrap();
        assert_eq!(delivery.receiver, "receiver.example:80");
        assert_eq!(delivery.generation, ended.generation);
        let (a, b) = (engine.get(&id("a")).await, engine.get(&id("b")).await);
        let (a, b) = (a.unwrap().unwrap(), b.unwrap().unwrap());
        assert!(a.generation != b.generation && a.generation != ended.generation);
        let claimed = claim(&engine).await;
        assert_eq!(claimed.job.generation, a.generation);
        assert_eq!(engine.release(&claimed).await, Ok(Fenced::Recorded));
    }
}

async fn refuses_as_unusable(engine: &SqliteEngine, why: &str) {
    let accepted = engine.accept(job("refused")).await.map(|_| ());
    for refused in [accepted, engine.check().await] {
        let Err(EngineError::Unusable { reason }) = &refused else {
            panic!("{refused:?}");
        };
        assert!(reason.contains(why), "{reason}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_file_that_is_removed_or_replaced_takes_no_more_jobs() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    engine.accept(job("before")).await.unwrap();
    let path = directory.path().join("jobs.db");
    let aside = directory.path().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    refuses_as_unusable(&engine, "removed or replaced").await;
    std::fs::copy(&aside, &path).unwrap();
    refuses_as_unusable(&engine, "removed or replaced").await;
    std::fs::rename(&aside, &path).unwrap();
    assert_eq!(engine.accept(job("after")).await, Ok(Accepted::Created));
    assert_eq!(engine.check().await, Ok(()));
    assert_eq!(engine.get(&id("refused")).await, Ok(None));
}

#[tokio::test]
async fn a_file_that_turns_out_to_be_damaged_is_said_to_be() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    edit(
        directory.path(),
        "PRAGMA writable_schema = ON; \
         UPDATE sqlite_schema SET sql = 'nonsense' WHERE name = 'jobs'; \
         PRAGMA schema_version = 999;",
    );
    refuses_as_unusable(&engine, "restore DATABASE_PATH from a backup").await;
}

#[cfg(unix)]
#[tokio::test]
async fn nobody_else_can_read_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("data");
    let engine = open(&folder).engine;
    engine.accept(job("a")).await.unwrap();
    for name in ["", "jobs.db", "jobs.db-wal", "jobs.db-shm", "jobs.db.lock"] {
        let mode = folder.join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{name}: {mode:o}");
    }
}

#[tokio::test]
async fn a_locked_file_refuses_for_now_and_recovers() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    engine.accept(job("before")).await.unwrap();
    let other = rusqlite::Connection::open(directory.path().join("jobs.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let refused = engine.accept(job("during")).await;
    assert!(
        matches!(refused, Err(EngineError::Unavailable { .. })),
        "{refused:?}"
    );
    let refused = engine.claim().await;
    assert!(matches!(refused, Err(EngineError::Unavailable { .. })));
    // Reading goes on.
    assert_eq!(state(&engine, "before").await, JobState::Queued);
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(engine.accept(job("during")).await, Ok(Accepted::Created));
    assert_eq!(claim(&engine).await.job.id.as_str(), "before");
    assert_eq!(claim(&engine).await.job.id.as_str(), "during");
}

#[tokio::test]
async fn a_cancel_that_falls_on_the_start_of_a_job_stops_it() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    engine.accept(job("a")).await.unwrap();
    let other = rusqlite::Connection::open(directory.path().join("jobs.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // Both are sent, one behind the other, before the first of them can be written.
    let a = id("a");
    let (claimed, cancelled, ()) = tokio::join!(engine.claim(), engine.cancel(&a), async {
        other.execute_batch("ROLLBACK").unwrap();
    });
    let (claim, _lane) = claimed.unwrap().unwrap();
    assert_eq!(cancelled, Ok(Some(Cancelled::Now)));
    assert!(claim.stop.is_told());
    engine.report(&claim, Progress::from(Step::CreateMask));
    assert_eq!(engine.progress(&id("a")).await, Ok(None));
    let fenced = engine.finish(&claim, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Superseded));
}

#[tokio::test]
async fn a_delivery_that_cannot_be_read_is_given_up_for_good() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    for name in ["bad", "good"] {
        engine.accept(told_job(name)).await.unwrap();
        let claim = claim(&engine).await;
        engine.finish(&claim, completed()).await.unwrap();
    }
    let file = rusqlite::Connection::open(directory.path().join("jobs.db")).unwrap();
    file.execute_batch("UPDATE deliveries SET attempts = -1 WHERE job = 'bad'")
        .unwrap();
    let (delivery, _lane) = engine.due().await.unwrap().unwrap();
    assert_eq!(delivery.of, id("good"));
    drop(engine);
    assert_eq!(
        open(directory.path()).engine.undelivered().await.unwrap(),
        1
    );
}

#[tokio::test]
async fn a_start_says_what_it_found() {
    let directory = tempfile::tempdir().unwrap();
    for attempt in 1..=3 {
        let opened = open(directory.path());
        opened.engine.accept(job("a")).await.unwrap();
        assert_eq!(opened.resumed, usize::from(attempt > 1));
        assert_eq!(claim(&opened.engine).await.job.attempts, attempt);
    }
    let opened = open(directory.path());
    assert_eq!((opened.resumed, opened.exhausted), (0, 1));
    let JobState::Failed(error) = state(&opened.engine, "a").await else {
        panic!("it did not fail");
    };
    assert_eq!(error.code, "ATTEMPTS_EXHAUSTED");
    assert_eq!(open_again(directory.path(), opened).exhausted, 0);
}

fn open_again(directory: &Path, opened: Opened) -> Opened {
    drop(opened);
    open(directory)
}
