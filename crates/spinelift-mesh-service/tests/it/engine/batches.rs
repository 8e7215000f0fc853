//! Batches.

use super::*;
use spinelift_mesh_service::engine::{AcceptedBatch, Cancelled, Filter, NewBatch};
use spinelift_mesh_service::job::{Batch, Counts};

fn batch(name: &str, jobs: u32) -> NewBatch {
    NewBatch {
        id: id(name),
        jobs: (1..=jobs)
            .map(|number| (id(&format!("{name}-{number}")), request()))
            .collect(),
        callback_url: Some(url("http://receiver.example/batch")),
        base_url: "http://mesh.example".into(),
        client: "client".into(),
        request_id: Some("r1".into()),
    }
}

async fn get(engine: &impl JobEngine, name: &str) -> Batch {
    engine.batch(&id(name)).await.unwrap().unwrap()
}

pub(super) async fn a_batch_counts_the_ends_of_its_jobs_and_is_told_once(store: &impl Store) {
    let engine = store.open().await;
    let accepted = engine.accept_batch(batch("b", 3)).await;
    assert_eq!(accepted, Ok(AcceptedBatch::Created));
    for outcome in [completed(), failed()] {
        let claim = claim(&engine).await;
        assert_eq!(claim.job.batch, Some(id("b")));
        assert_eq!(claim.job.request_id.as_deref(), Some("r1"));
        let fenced = engine.finish(&claim, outcome).await;
        assert_eq!(fenced, Ok(Fenced::Recorded));
    }
    let seen = get(&engine, "b").await;
    assert_eq!((seen.status(), seen.finished_at), ("processing", None));
    assert_eq!(engine.undelivered().await.unwrap(), 0);
    let last = claim(&engine).await;
    engine.finish(&last, completed()).await.unwrap();
    let seen = get(&engine, "b").await;
    let counts = Counts {
        total: 3,
        completed: 2,
        failed: 1,
    };
    assert_eq!((seen.status(), seen.counts), ("completed", counts));
    assert!(seen.finished_at.is_some());
    assert_eq!(engine.undelivered().await.unwrap(), 1);
    let (delivery, _lane) = engine.due().await.unwrap().unwrap();
    assert_eq!(
        (delivery.of, &*delivery.receiver),
        (id("b"), "receiver.example:80")
    );
    assert_eq!(delivery.generation, seen.generation);
}

pub(super) async fn a_batch_is_accepted_whole_or_not_at_all(store: &impl Store) {
    let bounds = Bounds {
        queue_length: 5,
        jobs_per_client: 4,
        ..BOUNDS
    };
    let engine = store.open_with(bounds).await;
    engine.accept(job("b-2")).await.unwrap();
    let taken = engine.accept_batch(batch("b", 3)).await;
    assert_eq!(taken, Ok(AcceptedBatch::Conflict(id("b-2"))));
    let full = engine.accept_batch(batch("c", 5)).await;
    assert_eq!(full, Err(EngineError::QueueFull { limit: 5 }));
    let quota = engine.accept_batch(batch("c", 4)).await;
    let expected = EngineError::ClientQuota {
        unfinished: 1,
        limit: 4,
    };
    assert_eq!(quota, Err(expected));
    assert_eq!(engine.backlog().await.unwrap().waiting, 1);
    assert_eq!(engine.batch(&id("c")).await, Ok(None));
    let created = engine.accept_batch(batch("c", 3)).await;
    assert_eq!(created, Ok(AcceptedBatch::Created));
    assert_eq!(engine.backlog().await.unwrap().waiting, 4);
}

pub(super) async fn the_same_batch_is_known_and_another_is_a_conflict(store: &impl Store) {
    let engine = store.open().await;
    engine.accept_batch(batch("b", 2)).await.unwrap();
    let known = get(&engine, "b").await;
    let again = engine.accept_batch(batch("b", 2)).await;
    assert_eq!(again, Ok(AcceptedBatch::Existing(Box::new(known))));
    let other = engine.accept_batch(batch("b", 3)).await;
    assert_eq!(other, Ok(AcceptedBatch::Conflict(id("b"))));
    assert_eq!(engine.accept(job("b")).await, Ok(Accepted::Conflict));
    assert_eq!(engine.backlog().await.unwrap().waiting, 2);
}

pub(super) async fn to_cancel_a_batch_is_to_cancel_its_jobs(store: &impl Store) {
    let engine = store.open().await;
    engine.accept_batch(batch("b", 3)).await.unwrap();
    let done = claim(&engine).await;
    engine.finish(&done, completed()).await.unwrap();
    let running = claim(&engine).await;
    engine.report(&running, Progress::from(Step::SimplifyContour));
    assert_eq!(engine.cancel(&id("b")).await, Ok(Some(Cancelled::Now)));
    assert!(running.stop.is_told());
    let stopped = engine.get(&running.job.id).await.unwrap().unwrap();
    assert_eq!(stopped.progress.percent, 50, "how far it had come stays");
    assert_eq!(engine.backlog().await.unwrap().waiting, 0);
    let seen = get(&engine, "b").await;
    assert_eq!((seen.counts.completed, seen.counts.failed), (1, 2));
    assert_eq!(seen.status(), "completed");
    let again = engine.cancel(&id("b")).await;
    assert_eq!(again, Ok(Some(Cancelled::AlreadyEnded)));
}

pub(super) async fn the_jobs_of_a_batch_are_listed_page_by_page(store: &impl Store) {
    let engine = store.open().await;
    engine.accept(job("other")).await.unwrap();
    engine.accept_batch(batch("b", 5)).await.unwrap();
    let mut filter = Filter {
        batch: Some(id("b")),
        limit: 2,
        ..Filter::default()
    };
    let mut names = Vec::new();
    loop {
        let page = engine.list(filter.clone()).await.unwrap();
        assert!(page.jobs.len() <= 2);
        names.extend(page.jobs.iter().map(|job| job.id.to_string()));
        filter.after = page.next;
        if filter.after.is_none() {
            break;
        }
    }
    assert_eq!(names, ["b-5", "b-4", "b-3", "b-2", "b-1"]);
}
