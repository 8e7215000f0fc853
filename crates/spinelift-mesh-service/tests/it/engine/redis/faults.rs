//! A server that goes, comes back, forgets, or is meddled with; answers that are lost.

use super::*;
use crate::harness::Log;
use spinelift_mesh_service::engine::{AcceptedBatch, Reason};

/// Writes all to disk, at once.
const DURABLE: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "always"];

/// Waits until the server has a key.
async fn known(store: &Namespace, key: &str) {
    let connection = store.server.connect().await.unwrap();
    eventually(&format!("{key} is there"), || {
        let mut ask = ::redis::cmd("EXISTS");
        ask.arg(key);
        let mut connection = connection.clone();
        async move {
            let known: u8 = ask.query_async(&mut connection).await.unwrap();
            (known == 1).then_some(())
        }
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_is_lost_changes_nothing() {
    let store = Namespace::new().await;
    let proxy = Proxy::start(store.server.port(), "own-word").await;
    let engine = store.open_through(&proxy, LEASE).await;
    // Once, so that the scripts are known and what is lost is what they answered.
    work(&engine, "first").await;
    let name = |text: &str| format!("own-word-{text}");
    proxy.lose_answers(1);
    let accepted = engine.accept(job(&name("a"))).await;
    assert_eq!(accepted, Ok(Accepted::Created), "and not a known one");
    let batch = spinelift_mesh_service::engine::NewBatch {
        id: id(&name("b")),
        jobs: vec![(id(&name("b-1")), request())],
        callback_url: None,
        base_url: String::new(),
        client: "client".into(),
        request_id: None,
    };
    proxy.lose_answers(1);
    let accepted = engine.accept_batch(batch).await;
    assert_eq!(accepted, Ok(AcceptedBatch::Created));
    let a = claim(&engine).await;
    proxy.lose_answers(1);
    assert_eq!(engine.release(&a).await, Ok(Fenced::Recorded));
    let a = claim(&engine).await;
    assert_eq!((a.job.id.as_str(), a.job.attempts), (&*name("a"), 1));
    proxy.lose_answers(1);
    assert_eq!(engine.finish(&a, completed()).await, Ok(Fenced::Recorded));
    let b = claim(&engine).await;
    proxy.lose_answers(1);
    let cancelled = engine.cancel(&b.job.id).await;
    use spinelift_mesh_service::engine::{Cancelled, Deleted};
    assert_eq!(cancelled, Ok(Some(Cancelled::Now)));
    proxy.lose_answers(1);
    let deleted = engine.delete(&a.job.id).await.unwrap();
    assert!(matches!(deleted, Some(Deleted::Gone(unused)) if unused.len() == 1));
    assert_eq!(proxy.lost(), 6);
}

#[tokio::test]
async fn jobs_that_were_begun_and_not_heard_of_are_handed_out_all_the_same() {
    let store = Namespace::new().await;
    // Of what the engine sends, only the command that begins jobs names its node's lanes so.
    let proxy = Proxy::start(store.server.port(), "\r\n1000\r\n$4\r\n1000\r\n").await;
    let engine = store.open_through(&proxy, Duration::from_secs(60)).await;
    work(&engine, "first").await;
    proxy.lose_answers(1);
    engine.accept(job("a")).await.unwrap();
    let claim = claim(&engine).await;
    assert_eq!((claim.job.id.as_str(), claim.job.attempts), ("a", 1));
    assert_eq!(proxy.lost(), 1);
    let fenced = engine.finish(&claim, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Recorded));
}

#[tokio::test]
async fn a_server_that_comes_back_finds_all_as_it_was() {
    let store = Namespace::of(RedisServer::start(&DURABLE).await).await;
    let engine = store.open().await;
    for name in ["running", "waiting"] {
        engine.accept(job(name)).await.unwrap();
    }
    let running = claim(&engine).await;
    store.server.kill();
    for _ in 0..3 {
        let refused = engine.accept(job("refused")).await;
        assert!(matches!(refused, Err(EngineError::Unavailable { .. })));
    }
    assert!(engine.check().await.is_err());
    let claimed = engine.claim().await.map(|_| ());
    assert!(matches!(claimed, Err(EngineError::Unavailable { .. })));
    // Longer than a lease, in which nobody could be heard.
    tokio::time::sleep(LEASE).await;
    store.server.run().await;
    recovered(&engine).await;
    let waiting = claim(&engine).await;
    assert_eq!(
        (waiting.job.id.as_str(), waiting.job.attempts),
        ("waiting", 1)
    );
    for claim in [running, waiting] {
        let fenced = engine.finish(&claim, completed()).await;
        assert_eq!(fenced, Ok(Fenced::Recorded), "it was not given to another");
    }
}

#[tokio::test]
async fn a_server_that_forgot_everything_is_worked_with_anew() {
    let store = Namespace::of(RedisServer::start(&[]).await).await;
    let engine = store.open().await;
    let secret = engine.secret("s").await.unwrap();
    engine.accept(job("a")).await.unwrap();
    let old = claim(&engine).await;
    store.server.kill();
    store.server.run().await;
    recovered(&engine).await;
    assert_eq!(engine.get(&id("a")).await, Ok(None));
    let fenced = engine.finish(&old, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Superseded));
    work(&engine, "a").await;
    assert_eq!(engine.backlog().await.unwrap().waiting, 0);
    known(&store, "{own}:secrets").await;
    assert_eq!(store.open().await.secret("s").await, Ok(secret));
}

#[tokio::test]
async fn that_a_server_forgot_everything_is_said_once_and_nothing_counts_as_cancelled() {
    let log = Log::keep();
    let store = Namespace::of(RedisServer::start(&[]).await).await;
    let engine = store.open().await;
    engine.accept(job("a")).await.unwrap();
    let lost = claim(&engine).await;
    // What is asked after the node was heard is answered after it has heard the answer.
    known(&store, "{own}:heard").await;
    engine.check().await.unwrap();
    store.server.kill();
    store.server.run().await;
    assert_eq!(lost.stop.told().await, Reason::Gone);
    let node = engine.node();
    let said = || {
        let text = log.text();
        let lines = text.lines().filter(|line| line.contains(&node));
        lines.filter(|line| line.contains("lost its data")).count()
    };
    assert_eq!(said(), 1);
    work(&engine, "a").await;
    store.server.kill();
    store.server.run().await;
    eventually("it says so of the next loss", || async {
        (said() == 2).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_node_that_starts_first_after_a_loss_goes_by_the_secrets_of_before() {
    let store = Namespace::of(RedisServer::start(&[]).await).await;
    let proxy = Proxy::start(store.server.port(), "").await;
    let minute = Duration::from_secs(60);
    let running = store.open_through(&proxy, minute).await;
    let secret = running.secret("s").await.unwrap();
    proxy.be_silent(true);
    store.server.kill();
    store.server.run().await;
    let mut options = store.options(BOUNDS);
    options.lease = minute;
    let first = RedisEngine::open(options).await.unwrap();
    let (found, ()) = tokio::join!(first.secret("s"), async {
        known(&store, "{own}:heard").await;
        proxy.be_silent(false);
    });
    assert_eq!(found, Ok(secret));
}

#[tokio::test]
async fn a_node_whose_secrets_are_no_longer_those_of_others_says_so() {
    let log = Log::keep();
    let store = Namespace::new().await;
    let engine = store.open().await;
    let name = "strange-to-others";
    engine.secret(name).await.unwrap();
    store.command(&format!("HSET @secrets {name} other")).await;
    eventually("it says so", || async {
        let text = log.text();
        let mut lines = text
            .lines()
            .filter(|line| line.contains("restart this node"));
        lines.any(|line| line.contains(name)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_group_that_somebody_removes_is_made_anew_and_no_job_is_lost() {
    let store = Namespace::new().await;
    let engine = store.open().await;
    for name in ["running", "waiting"] {
        engine.accept(job(name)).await.unwrap();
    }
    let running = claim(&engine).await;
    store
        .command("XGROUP DESTROY @jobs:client\\texample.com workers")
        .await;
    let waiting = claim(&engine).await;
    assert_eq!(
        (waiting.job.id.as_str(), waiting.job.attempts),
        ("waiting", 1)
    );
    let fenced = engine.finish(&running, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Recorded));
    store
        .command("XGROUP DESTROY @jobs:client\\texample.com workers")
        .await;
    let other = store.open().await;
    drop(engine);
    let again = claim(&other).await;
    assert_eq!((again.job.id.as_str(), again.job.attempts), ("waiting", 2));
}

#[tokio::test]
async fn nothing_is_left_of_what_has_ended_and_been_deleted() {
    let store = Namespace::of(RedisServer::start(&[]).await).await;
    let engine = store.open().await;
    for number in 0..5 {
        let name = format!("j{number}");
        engine.accept(told_job(&name)).await.unwrap();
        let claim = claim(&engine).await;
        engine.finish(&claim, result(number).0).await.unwrap();
        engine.delete(&id(&name)).await.unwrap();
    }
    engine.close().await;
    let mut connection = store.server.connect().await.unwrap();
    let keys: Vec<String> = ::redis::cmd("KEYS")
        .arg("*")
        .query_async(&mut connection)
        .await
        .unwrap();
    let mut keys: Vec<_> = keys
        .iter()
        .map(|key| key.strip_prefix("{own}:").unwrap())
        // They expire by themselves.
        .filter(|key| !key.starts_with("reply:") && !key.starts_with("took:"))
        .filter(|key| *key != "reaping" && *key != "works" && !key.starts_with("node:"))
        .collect();
    keys.sort_unstable();
    let lasting: [&str; 5] = ["cache_bytes", "heard", "leases", "seq", "turn"];
    let turns: Vec<_> = keys.iter().filter(|key| key.starts_with("turns")).collect();
    assert!(turns.len() <= 2, "{turns:?}");
    let keys: Vec<_> = keys
        .iter()
        .filter(|key| !key.starts_with("turns"))
        .collect();
    assert_eq!(keys, lasting.iter().collect::<Vec<_>>());
}
