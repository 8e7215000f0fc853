//! The queue: accepting, attempts, ends, restarts.

use super::*;
use std::sync::Arc;

pub(super) async fn a_job_lives_from_accept_to_finish(store: &impl Store) {
    let engine = store.open().await;
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

pub(super) async fn jobs_are_handed_out_in_the_order_of_their_acceptance(store: &impl Store) {
    let engine = store.open().await;
    for id in ["c", "a", "b"] {
        engine.accept(job(id)).await.unwrap();
    }
    for id in ["c", "a", "b"] {
        assert_eq!(claim(&engine).await.job.id.as_str(), id);
    }
}

pub(super) async fn an_attempt_that_was_ended_cannot_end_the_job_again(store: &impl Store) {
    let engine = store.open().await;
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

pub(super) async fn an_old_attempt_is_fenced_off_by_a_new_one(store: &impl Store) {
    let first = {
        let engine = store.open().await;
        engine.accept(job("a")).await.unwrap();
        claim(&engine).await
    };
    // The process died, and another took over.
    let engine = store.open().await;
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

pub(super) async fn a_job_given_back_waits_again_and_its_attempt_does_not_count(
    store: &impl Store,
) {
    let engine = store.open().await;
    engine.accept(job("a")).await.unwrap();
    for _ in 0..10 {
        let claim = claim(&engine).await;
        assert_eq!(claim.job.attempts, 1);
        assert_eq!(engine.release(&claim).await, Ok(Fenced::Recorded));
    }
    assert_eq!(engine.backlog().await.unwrap().waiting, 1);
}

pub(super) async fn a_restart_hands_out_what_was_running_until_its_attempts_are_spent(
    store: &impl Store,
) {
    let engine = store.open().await;
    engine.accept(job("a")).await.unwrap();
    drop(engine);
    for attempt in 1..=3 {
        let engine = store.open().await;
        assert_eq!(claim(&engine).await.job.attempts, attempt);
    }
    let engine = store.open().await;
    let error = eventually("it fails", || async {
        match state(&engine, "a").await {
            JobState::Failed(error) => Some(error),
            _ => None,
        }
    });
    assert_eq!(error.await.code, "ATTEMPTS_EXHAUSTED");
}

pub(super) async fn what_was_acknowledged_is_there_after_a_restart(store: &impl Store) {
    let engine = Arc::new(store.open().await);
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
    let engine = store.open().await;
    assert_eq!(engine.backlog().await.unwrap().waiting, 500);
    for number in 0..500 {
        assert_eq!(
            state(&engine, &format!("j{number}")).await,
            JobState::Queued
        );
    }
}

pub(super) async fn many_workers_get_each_job_once(store: &impl Store) {
    let engine = Arc::new(store.open().await);
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

pub(super) async fn the_bound_of_the_queue_holds_within_one_group(store: &impl Store) {
    let bounds = Bounds {
        queue_length: 10,
        ..BOUNDS
    };
    let engine = Arc::new(store.open_with(bounds).await);
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

pub(super) async fn a_closed_engine_says_so(store: &impl Store) {
    let engine = store.open().await;
    engine.close().await;
    assert_eq!(engine.accept(job("a")).await, Err(EngineError::Closed));
    assert!(matches!(engine.claim().await, Ok(None)));
    // The next owner need not wait until this one is dropped.
    let next = store.open().await;
    next.accept(job("a")).await.unwrap();
}
