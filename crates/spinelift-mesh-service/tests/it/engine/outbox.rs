//! Deliveries of ends.

use super::*;
use chrono::Utc;
use spinelift_mesh_service::engine::{Attempt, DeliveryId, DeliveryState, Next, Replayed};
use std::time::Duration;

fn attempt(status: u16) -> Attempt {
    Attempt {
        // As exact as it is kept.
        at: chrono::DateTime::from_timestamp_millis(Utc::now().timestamp_millis()).unwrap(),
        took: Duration::from_millis(12),
        status: Some(status),
        error: (status != 200).then(|| "why".to_owned()),
    }
}

pub(super) async fn the_end_of_a_job_with_a_receiver_is_to_be_told(store: &impl Store) {
    let engine = store.open().await;
    for (name, outcome) in [("a", completed()), ("b", failed())] {
        engine.accept(told_job(name)).await.unwrap();
        let claim = claim(&engine).await;
        engine.finish(&claim, outcome).await.unwrap();
    }
    engine.accept(told_job("c")).await.unwrap();
    engine.cancel(&id("c")).await.unwrap();
    engine.accept(job("untold")).await.unwrap();
    let untold = claim(&engine).await;
    engine.finish(&untold, completed()).await.unwrap();
    let mut told = Vec::new();
    for _ in 0..3 {
        let (delivery, _lane) = engine.due().await.unwrap().unwrap();
        assert_eq!(
            (delivery.attempts, &*delivery.receiver),
            (0, "receiver.example:80")
        );
        told.push(delivery.of.to_string());
    }
    assert_eq!(told, ["a", "b", "c"]);
    assert_eq!(engine.undelivered().await.unwrap(), 0);
}

pub(super) async fn a_delivery_is_handed_out_after_a_restart_until_it_is_delivered(
    store: &impl Store,
) {
    let engine = store.open().await;
    engine.accept(told_job("a")).await.unwrap();
    let claim = claim(&engine).await;
    engine.finish(&claim, completed()).await.unwrap();
    let (first, _lane) = engine.due().await.unwrap().unwrap();
    drop(engine);

    let engine = store.open().await;
    let (again, _lane) = engine.due().await.unwrap().unwrap();
    assert_eq!(again, first);
    let later = Next::RetryAfter(Duration::from_secs(3600));
    engine.attempted(&again, attempt(500), later).await.unwrap();
    drop(engine);

    let engine = store.open().await;
    assert_eq!(engine.undelivered().await.unwrap(), 1);
    let hastened = engine.replay(&id("a"), &first.id).await;
    assert_eq!(hastened, Ok(Replayed::Hastened));
    let (third, _lane) = engine.due().await.unwrap().unwrap();
    assert_eq!(third.id, first.id);
    engine
        .attempted(&third, attempt(200), Next::Delivered)
        .await
        .unwrap();
    drop(engine);
    let engine = store.open().await;
    assert_eq!(engine.undelivered().await.unwrap(), 0);
}

pub(super) async fn attempts_are_logged_and_a_delivery_can_be_replayed(store: &impl Store) {
    let engine = store.open().await;
    engine.accept(told_job("a")).await.unwrap();
    let claim = claim(&engine).await;
    engine.finish(&claim, completed()).await.unwrap();
    let (delivery, _lane) = engine.due().await.unwrap().unwrap();
    let mut log = Vec::new();
    for (status, next) in [(500, Next::RetryAfter(Duration::ZERO)), (410, Next::GiveUp)] {
        let made = attempt(status);
        log.push(made.clone());
        engine.attempted(&delivery, made, next).await.unwrap();
        if next != Next::GiveUp {
            let (again, _lane) = engine.due().await.unwrap().unwrap();
            assert_eq!(again.attempts, 1);
        }
    }
    let records = engine.deliveries(&id("a")).await.unwrap();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0].state, DeliveryState::Failed);
    // Their times are by the clock of the store.
    let said = |attempt: &Attempt| (attempt.took, attempt.status, attempt.error.clone());
    let known: Vec<_> = records[0].log.iter().map(said).collect();
    assert_eq!(known, log.iter().map(said).collect::<Vec<_>>());
    assert!(records[0].log[0].at <= records[0].log[1].at);
    assert_eq!(records[0].next_at, None);

    let unknown = DeliveryId::new("msg_0");
    assert_eq!(
        engine.replay(&id("a"), &unknown).await,
        Ok(Replayed::Unknown)
    );
    assert_eq!(
        engine.replay(&id("b"), &delivery.id).await,
        Ok(Replayed::Unknown)
    );
    assert_eq!(
        engine.replay(&id("a"), &delivery.id).await,
        Ok(Replayed::Now)
    );
    let (again, _lane) = engine.due().await.unwrap().unwrap();
    assert_eq!((again.id, again.attempts), (delivery.id, 0));
}

pub(super) async fn one_receiver_gets_so_many_at_a_time_and_no_other_waits_for_it(
    store: &impl Store,
) {
    let bounds = Bounds {
        delivery_lanes: 2,
        ..BOUNDS
    };
    let engine = store.open_with(bounds).await;
    for number in 0..5 {
        let mut job = told_job(&format!("j{number}"));
        if number == 4 {
            job.request.callback_url = Some(url("http://other.example/"));
        }
        engine.accept(job).await.unwrap();
        let claim = claim(&engine).await;
        engine.finish(&claim, completed()).await.unwrap();
    }
    let mut out = Vec::new();
    for _ in 0..3 {
        out.push(engine.due().await.unwrap().unwrap());
    }
    let mut names: Vec<_> = out
        .iter()
        .map(|(delivery, _)| delivery.of.to_string())
        .collect();
    names.sort();
    assert_eq!(names, ["j0", "j1", "j4"]);
    engine.finish_due();
    assert!(engine.due().await.unwrap().is_none(), "its lanes are taken");
    drop(out);
    assert_eq!(engine.due().await.unwrap().unwrap().0.of, id("j2"));
}

pub(super) async fn a_delivery_that_is_replayed_while_it_is_made_is_not_given_up(
    store: &impl Store,
) {
    let engine = store.open().await;
    engine.accept(told_job("a")).await.unwrap();
    let claim = claim(&engine).await;
    engine.finish(&claim, completed()).await.unwrap();
    let again = Next::RetryAfter(Duration::ZERO);
    let (first, _lane) = engine.due().await.unwrap().unwrap();
    engine.attempted(&first, attempt(500), again).await.unwrap();
    let (last, _lane) = engine.due().await.unwrap().unwrap();
    engine.replay(&id("a"), &last.id).await.unwrap();
    let given_up = engine.attempted(&last, attempt(500), Next::GiveUp).await;
    assert_eq!(given_up, Ok(()));
    let records = engine.deliveries(&id("a")).await.unwrap();
    assert_eq!(records[0].state, DeliveryState::Pending);
    assert_eq!(engine.due().await.unwrap().unwrap().0.id, first.id);
}
