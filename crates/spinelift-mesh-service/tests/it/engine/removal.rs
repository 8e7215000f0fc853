//! Cancelling and forgetting.

use super::*;
use chrono::{TimeDelta, Utc};
use spinelift_mesh_service::engine::{Cancelled, Deleted, Filter, StateFilter};

pub(super) async fn a_waiting_job_is_cancelled_and_makes_room_at_once(store: &impl Store) {
    let bounds = Bounds {
        queue_length: 2,
        jobs_per_client: 2,
        ..BOUNDS
    };
    let engine = store.open_with(bounds).await;
    engine.accept(job("a")).await.unwrap();
    engine.accept(job("b")).await.unwrap();
    assert!(engine.accept(job("c")).await.is_err());
    assert_eq!(engine.cancel(&id("a")).await, Ok(Some(Cancelled::Now)));
    assert_eq!(state(&engine, "a").await, JobState::Cancelled);
    assert_eq!(engine.accept(job("c")).await, Ok(Accepted::Created));
    assert_eq!(claim(&engine).await.job.id, id("b"));
    assert_eq!(claim(&engine).await.job.id, id("c"));
    assert_eq!(engine.cancel(&id("x")).await, Ok(None));
    let again = engine.cancel(&id("a")).await;
    assert_eq!(again, Ok(Some(Cancelled::AlreadyEnded)));
}

pub(super) async fn a_running_job_is_cancelled_and_its_attempt_counts_for_nothing(
    store: &impl Store,
) {
    let engine = store.open().await;
    engine.accept(job("a")).await.unwrap();
    let claim = claim(&engine).await;
    engine.report(&claim, Progress::from(Step::SimplifyContour));
    assert_eq!(engine.cancel(&id("a")).await, Ok(Some(Cancelled::Now)));
    assert!(claim.stop.is_told());
    let fenced = engine.finish(&claim, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Superseded));
    let seen = engine.get(&id("a")).await.unwrap().unwrap();
    assert_eq!(
        (seen.state, seen.progress.percent),
        (JobState::Cancelled, 50)
    );
    drop(engine);
    let engine = store.open().await;
    assert_eq!(engine.backlog().await.unwrap().waiting, 0);
}

pub(super) async fn a_job_is_deleted_with_what_only_it_needs(store: &impl Store) {
    let engine = store.open().await;
    engine.accept(told_job("a")).await.unwrap();
    assert_eq!(engine.delete(&id("a")).await, Ok(Some(Deleted::Unfinished)));
    let claim_a = claim(&engine).await;
    let (outcome, object) = result(1);
    engine.finish(&claim_a, outcome).await.unwrap();
    engine.accept(job("b")).await.unwrap();
    let claim_b = claim(&engine).await;
    let cached = Outcome::Completed(StoredResult::Cached(object.clone()));
    engine.finish(&claim_b, cached).await.unwrap();

    // The other job has the same result.
    assert_eq!(
        engine.delete(&id("a")).await,
        Ok(Some(Deleted::Gone(vec![])))
    );
    assert_eq!(engine.get(&id("a")).await, Ok(None));
    assert_eq!(
        (
            engine.undelivered().await.unwrap(),
            engine.deliveries(&id("a")).await
        ),
        (0, Ok(vec![]))
    );
    assert_eq!(engine.delete(&id("a")).await, Ok(None));
    let gone = engine.delete(&id("b")).await;
    assert_eq!(gone, Ok(Some(Deleted::Gone(vec![object]))));
    assert_eq!(
        engine.cached(&key(1)).await,
        Ok(None),
        "the cache forgets what is deleted"
    );
    assert_eq!(engine.accept(job("a")).await, Ok(Accepted::Created));
}

pub(super) async fn what_ended_long_ago_expires_unless_somebody_has_still_to_be_told(
    store: &impl Store,
) {
    let engine = store.open().await;
    for (name, told) in [("told", true), ("untold", false), ("running", false)] {
        let job = if told { told_job(name) } else { job(name) };
        engine.accept(job).await.unwrap();
        let claim = claim(&engine).await;
        if name != "running" {
            engine.finish(&claim, result(1).0).await.unwrap();
        }
    }
    let early = engine
        .expire(Utc::now() - TimeDelta::hours(1))
        .await
        .unwrap();
    assert_eq!(early.gone, 0);
    let late = Utc::now() + TimeDelta::hours(1);
    let expired = engine.expire(late).await.unwrap();
    assert_eq!(expired.gone, 1);
    assert_eq!(engine.get(&id("untold")).await, Ok(None));
    assert!(engine.get(&id("told")).await.unwrap().is_some());
    assert_eq!(state(&engine, "running").await, JobState::Running);
    assert_eq!(engine.expire(late).await.unwrap().gone, 0);
}

pub(super) async fn jobs_are_listed_newest_first_and_by_state(store: &impl Store) {
    let engine = store.open().await;
    for name in ["a", "b", "c", "d"] {
        engine.accept(job(name)).await.unwrap();
    }
    let first = claim(&engine).await;
    engine.finish(&first, completed()).await.unwrap();
    let _running = claim(&engine).await;
    engine.cancel(&id("d")).await.unwrap();
    let list = async |states: &[StateFilter]| {
        let filter = Filter {
            states: states.to_vec(),
            limit: 10,
            ..Filter::default()
        };
        let page = engine.list(filter).await.unwrap();
        assert_eq!(page.next, None);
        page.jobs
            .iter()
            .map(|job| job.id.to_string())
            .collect::<Vec<_>>()
            .concat()
    };
    assert_eq!(list(&[]).await, "dcba");
    for (state, names) in [
        (StateFilter::Completed, "a"),
        (StateFilter::Running, "b"),
        (StateFilter::Queued, "c"),
        (StateFilter::Cancelled, "d"),
        (StateFilter::Failed, ""),
    ] {
        assert_eq!(list(&[state]).await, names);
    }
    use StateFilter::{Cancelled, Completed, Queued};
    assert_eq!(list(&[Completed, Cancelled, Queued]).await, "dca");
}

pub(super) async fn a_watch_tells_of_every_change(store: &impl Store) {
    let engine = store.open().await;
    engine.accept(job("a")).await.unwrap();
    let mut watch = engine.watch(&id("a"));
    let claim = claim(&engine).await;
    watch.changed().await;
    engine.report(&claim, Progress::from(Step::CreateMask));
    watch.changed().await;
    let (attempt, progress) = engine.progress(&id("a")).await.unwrap().unwrap();
    assert_eq!(
        (attempt, progress),
        (1, vec![Progress::from(Step::CreateMask)])
    );
    engine.finish(&claim, completed()).await.unwrap();
    watch.changed().await;
    assert_eq!(state(&engine, "a").await, JobState::Completed);
    assert_eq!(engine.progress(&id("a")).await, Ok(None));
}

pub(super) async fn what_was_begun_for_a_deleted_job_counts_for_nothing_to_the_next_of_its_name(
    store: &impl Store,
) {
    let engine = store.open().await;
    engine.accept(job("a")).await.unwrap();
    let old = claim(&engine).await;
    engine.cancel(&id("a")).await.unwrap();
    engine.delete(&id("a")).await.unwrap();
    engine.accept(job("a")).await.unwrap();
    let new = claim(&engine).await;
    assert_eq!((old.job.attempts, new.job.attempts), (1, 1));
    assert_ne!(old.job.generation, new.job.generation);

    engine.report(&old, Progress::from(Step::CreateMask));
    assert_eq!(engine.progress(&id("a")).await, Ok(Some((1, vec![]))));
    for outcome in [completed(), failed()] {
        let fenced = engine.finish(&old, outcome).await;
        assert_eq!(fenced, Ok(Fenced::Superseded));
    }
    assert_eq!(engine.release(&old).await, Ok(Fenced::Superseded));
    assert!(!new.stop.is_told());
    assert_eq!(engine.backlog().await.unwrap().waiting, 0);

    engine.report(&new, Progress::from(Step::CreateMask));
    let seen = engine.get(&id("a")).await.unwrap().unwrap();
    assert_eq!(seen.state, JobState::Running);
    assert_eq!(seen.progress, Progress::from(Step::CreateMask));
    let fenced = engine.finish(&new, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Recorded));
}
