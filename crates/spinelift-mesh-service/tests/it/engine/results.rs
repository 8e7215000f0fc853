//! The index of results.

use super::*;

async fn made(engine: &impl JobEngine, name: &str, image: u8) -> ResultObject {
    engine.accept(job(name)).await.unwrap();
    let claim = claim(engine).await;
    let (outcome, object) = result(image);
    assert_eq!(engine.finish(&claim, outcome).await, Ok(Fenced::Recorded));
    object
}

async fn reused(engine: &impl JobEngine, name: &str, object: &ResultObject) -> Fenced {
    engine.accept(job(name)).await.unwrap();
    let claim = claim(engine).await;
    let cached = StoredResult::Cached(object.clone());
    engine
        .finish(&claim, Outcome::Completed(cached))
        .await
        .unwrap()
}

pub(super) async fn a_result_is_found_by_what_it_follows_from(store: &impl Store) {
    let engine = store.open().await;
    assert_eq!(engine.cached(&key(1)).await, Ok(None));
    let object = made(&engine, "a", 1).await;
    assert_eq!(engine.cached(&key(2)).await, Ok(None));
    drop(engine);
    let engine = store.open().await;
    assert_eq!(engine.cached(&key(1)).await, Ok(Some(object.clone())));
    assert_eq!(reused(&engine, "b", &object).await, Fenced::Recorded);
    let [a, b] = [id("a"), id("b")];
    let (a, b) = (
        engine.get(&a).await.unwrap().unwrap(),
        engine.get(&b).await.unwrap().unwrap(),
    );
    assert_eq!((a.cached, b.cached), (false, true));
    assert_eq!(a.result, b.result);
}

pub(super) async fn a_result_that_has_gone_meanwhile_is_not_recorded(store: &impl Store) {
    let engine = store.open().await;
    let object = made(&engine, "a", 1).await;
    engine.forget(&object).await.unwrap();
    assert_eq!(engine.cached(&key(1)).await, Ok(None));
    assert_eq!(reused(&engine, "b", &object).await, Fenced::ResultGone);
    assert_eq!(state(&engine, "b").await, JobState::Running);
}

pub(super) async fn the_cache_shrinks_from_its_oldest_use_and_jobs_keep_their_results(
    store: &impl Store,
) {
    let engine = store.open().await;
    let mut objects = Vec::new();
    for image in 0..4 {
        objects.push(made(&engine, &format!("j{image}"), image).await);
    }
    // Used again, so it is the youngest.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    reused(&engine, "again", &objects[0]).await;
    assert_eq!(engine.shrink_cache(400).await, Ok(vec![]));
    engine.delete(&id("j1")).await.unwrap();
    assert_eq!(
        engine.shrink_cache(200).await,
        Ok(vec![]),
        "j2 has its result still"
    );
    let mut cached = Vec::new();
    for image in 0..4 {
        cached.push(engine.cached(&key(image)).await.unwrap().is_some());
    }
    assert_eq!(cached, [true, false, false, true]);
    let seen = engine.get(&id("j2")).await.unwrap().unwrap();
    assert_eq!(seen.result, Some(objects[2].clone()));
}

pub(super) async fn only_what_nothing_refers_to_is_unused(store: &impl Store) {
    let engine = store.open().await;
    let object = made(&engine, "a", 1).await;
    let stray = super::object(1);
    let unused = engine.unused(vec![object, stray.clone()]).await;
    assert_eq!(unused, Ok(vec![stray]));
}

pub(super) async fn a_secret_stays_the_same(store: &impl Store) {
    let engine = store.open().await;
    let secret = engine.secret("a").await.unwrap();
    assert_ne!(secret, engine.secret("b").await.unwrap());
    drop(engine);
    let engine = store.open().await;
    assert_eq!(engine.secret("a").await, Ok(secret));
    assert_eq!(engine.check().await, Ok(()));
}
