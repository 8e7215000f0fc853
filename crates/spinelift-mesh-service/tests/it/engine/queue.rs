//! The queue: accepting, attempts, ends, restarts.

use super::*;
use std::sync::Arc;

#[tokio::test]
async fn a_job_lives_from_accept_to_finish() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    assert_eq!(engine.accept(job("a")).await, Ok(Accepted::Created));
    assert_eq!(engine.backlog().await.unwrap().waiting, 1);
    assert_eq!(state(&engine, "a").await, JobState::Queued);

    let claim = claim(&engine).await;
    assert_eq!((claim.job.id.as_str(), claim.job.attempts), ("a", 1));
    assert_eq!(claim.job.base_url, "http://mesh.example");
    assert_eq!(engine.backlog().await.unwrap().waiting, 0);
    engine.report(&claim, Progress::from(Step::SimplifyContour));
    let seen = engine.get(&claim.job.id).await.unwrap().unwrap();
    assert_eq!((seen.state, seen.progress.percent), (JobState::Running, 50));

    assert_eq!(
        engine.finish(&claim, completed()).await,
        Ok(Fenced::Recorded)
    );
    let seen = engine.get(&claim.job.id).await.unwrap().unwrap();
    assert_eq!(
        (seen.state, seen.progress.percent),
        (JobState::Completed, 100)
    );
    assert!(seen.finished_at.is_some());
}

#[tokio::test]
async fn jobs_are_handed_out_in_the_order_of_their_acceptance() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    for id in ["c", "a", "b"] {
        engine.accept(job(id)).await.unwrap();
    }
    for id in ["c", "a", "b"] {
        assert_eq!(claim(&engine).await.job.id.as_str(), id);
    }
}

#[tokio::test]
async fn an_attempt_that_was_ended_cannot_end_the_job_again() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    engine.accept(job("a")).await.unwrap();
    let first = claim(&engine).await;
    assert_eq!(engine.finish(&first, failed()).await, Ok(Fenced::Recorded));
    assert_eq!(
        engine.finish(&first, completed()).await,
        Ok(Fenced::Superseded)
    );
    let id = JobId::parse("a").unwrap();
    let job = engine.get(&id).await.unwrap().unwrap();
    let error = JobError::new("CODE", "why", json!({ "n": 1 }));
    assert_eq!(
        (job.state, job.progress.percent),
        (JobState::Failed(error), 40)
    );
}

#[tokio::test]
async fn an_old_attempt_is_fenced_off_by_a_new_one() {
    let directory = tempfile::tempdir().unwrap();
    let first = {
        let engine = open(directory.path()).engine;
        engine.accept(job("a")).await.unwrap();
        claim(&engine).await
    };
    // The process died, and another took over.
    let engine = open(directory.path()).engine;
    let second = claim(&engine).await;
    assert_eq!(second.job.attempts, 2);
    engine.report(&first, Progress::from(Step::CalculateEdges));
    let seen = engine.get(&second.job.id).await.unwrap().unwrap();
    assert_eq!(seen.progress, Progress::STARTED);
    assert_eq!(
        engine.finish(&first, completed()).await,
        Ok(Fenced::Superseded)
    );
    assert_eq!(engine.release(&first).await, Ok(Fenced::Superseded));
    assert_eq!(state(&engine, "a").await, JobState::Running);
    assert_eq!(
        engine.finish(&second, completed()).await,
        Ok(Fenced::Recorded)
    );
}

#[tokio::test]
async fn a_job_given_back_waits_again_and_its_attempt_does_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    engine.accept(job("a")).await.unwrap();
    for _ in 0..10 {
        let claim = claim(&engine).await;
        assert_eq!(claim.job.attempts, 1);
        assert_eq!(engine.release(&claim).await, Ok(Fenced::Recorded));
    }
    assert_eq!(engine.backlog().await.unwrap().waiting, 1);
}

#[tokio::test]
async fn a_restart_hands_out_what_was_running_until_its_attempts_are_spent() {
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

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let opened = open(directory.path());
    let engine = Arc::new(opened.engine);
    let mut accepting = tokio::task::JoinSet::new();
    for number in 0..500 {
        let engine = Arc::clone(&engine);
        accepting.spawn(async move { engine.accept(job(&format!("j{number}"))).await });
    }
    assert!(
        accepting
            .join_all()
            .await
            .iter()
            .all(|a| *a == Ok(Accepted::Created))
    );
    drop(engine);
    let engine = open(directory.path()).engine;
    assert_eq!(engine.backlog().await.unwrap().waiting, 500);
    for number in 0..500 {
        assert_eq!(
            state(&engine, &format!("j{number}")).await,
            JobState::Queued
        );
    }
}

#[tokio::test]
async fn many_workers_get_each_job_once() {
    let directory = tempfile::tempdir().unwrap();
    let engine = Arc::new(open(directory.path()).engine);
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let engine = Arc::clone(&engine);
        workers.spawn(async move {
            let mut own = Vec::new();
            while let Ok(Some((claim, _lane))) = engine.claim().await {
                assert_eq!(claim.job.attempts, 1);
                engine.finish(&claim, completed()).await.unwrap();
                own.push(claim.job.id.as_str().to_owned());
                if claim.job.id.as_str() == "last" {
                    engine.stop_claiming();
                }
            }
            own
        });
    }
    for number in 0..199 {
        engine.accept(job(&format!("j{number}"))).await.unwrap();
    }
    engine.accept(job("last")).await.unwrap();
    let mut all: Vec<_> = workers.join_all().await.concat();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), 200);
}

#[tokio::test]
async fn the_bound_of_the_queue_holds_within_one_group() {
    let directory = tempfile::tempdir().unwrap();
    let bounds = Bounds {
        queue_length: 10,
        ..BOUNDS
    };
    let opened = SqliteEngine::open(&directory.path().join("jobs.db"), bounds).unwrap();
    let engine = Arc::new(opened.engine);
    let mut accepting = tokio::task::JoinSet::new();
    for number in 0..50 {
        let engine = Arc::clone(&engine);
        accepting.spawn(async move { engine.accept(job(&format!("j{number}"))).await });
    }
    let answers = accepting.join_all().await;
    let created = answers
        .iter()
        .filter(|a| **a == Ok(Accepted::Created))
        .count();
    let full = Err(EngineError::QueueFull { limit: 10 });
    assert_eq!(created, 10);
    assert_eq!(answers.iter().filter(|a| **a == full).count(), 40);
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
async fn a_closed_engine_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let engine = open(directory.path()).engine;
    engine.close().await;
    assert_eq!(engine.accept(job("a")).await, Err(EngineError::Closed));
    assert!(matches!(engine.claim().await, Ok(None)));
    // The file is free for the next owner even before this one is dropped.
    let next = open(directory.path()).engine;
    next.accept(job("a")).await.unwrap();
}
