//! Several nodes: what one does, the others see, and who is silent loses what he has.

use super::*;
use crate::harness::Log;
use spinelift_mesh_service::engine::{
    AcceptedBatch, Attempt, Cancelled, NewBatch, Next, Reason, Work,
};

async fn two(store: &Namespace) -> [RedisEngine; 2] {
    [store.open().await, store.open().await]
}

#[tokio::test]
async fn what_one_node_does_the_others_see() {
    let store = Namespace::new().await;
    let [api, worker] = two(&store).await;
    assert_eq!(api.accept(job("a")).await, Ok(Accepted::Created));
    let mut watch = api.watch(&id("a"));
    let claim = claim(&worker).await;
    worker.report(&claim, Progress::from(Step::SimplifyContour));
    let seen = async {
        loop {
            let seen = api.get(&id("a")).await.unwrap().unwrap();
            if seen.progress.percent == 50 {
                return seen;
            }
            watch.changed().await;
        }
    };
    assert_eq!(seen.await.state, JobState::Running);
    let (attempt, steps) = api.progress(&id("a")).await.unwrap().unwrap();
    assert_eq!(
        (attempt, steps.last().map(|step| step.percent)),
        (1, Some(50))
    );
    let (outcome, object) = result(1);
    worker.finish(&claim, outcome).await.unwrap();
    let ended = async {
        while state(&api, "a").await != JobState::Completed {
            watch.changed().await;
        }
    };
    ended.await;
    assert_eq!(api.cached(&key(1)).await, Ok(Some(object)));
}

#[tokio::test]
async fn a_job_is_cancelled_where_it_runs_and_that_node_tells_of_it() {
    let store = Namespace::new().await;
    let [api, worker] = two(&store).await;
    api.accept(told_job("a")).await.unwrap();
    let claim = claim(&worker).await;
    assert_eq!(api.cancel(&id("a")).await, Ok(Some(Cancelled::Now)));
    assert_eq!(claim.stop.told().await, Reason::Cancelled);
    let fenced = worker.finish(&claim, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Superseded));
    let (delivery, _lane) = worker.due().await.unwrap().unwrap();
    assert_eq!(delivery.of, id("a"));
}

#[tokio::test]
async fn a_node_that_is_silent_for_a_lease_loses_its_job_and_cannot_end_it() {
    let store = Namespace::new().await;
    let proxy = Proxy::start(store.server.port(), "").await;
    let silent = store.open_through(&proxy, LEASE).await;
    let other = store.open().await;
    silent.accept(told_job("a")).await.unwrap();
    let first = claim(&silent).await;
    proxy.be_silent(true);
    let second = claim(&other).await;
    assert_eq!((second.job.id.as_str(), second.job.attempts), ("a", 2));
    proxy.be_silent(false);
    recovered(&silent).await;
    let late = silent.finish(&first, failed()).await;
    assert_eq!(late, Ok(Fenced::Superseded));
    assert_eq!(first.stop.told().await, Reason::LeaseOver);
    let fenced = other.finish(&second, completed()).await;
    assert_eq!(fenced, Ok(Fenced::Recorded));
    let deliveries = other.deliveries(&id("a")).await.unwrap();
    assert_eq!(deliveries.len(), 1, "the end is told once");
}

#[tokio::test]
async fn of_different_leases_the_longest_counts_and_who_starts_with_another_says_so() {
    let log = Log::keep();
    let short = Duration::from_secs(2);
    let store = Namespace::new().await;
    let proxy = Proxy::start(store.server.port(), "").await;
    let patient = store.open_through(&proxy, 3 * short).await;
    patient.accept(job("a")).await.unwrap();
    let first = claim(&patient).await;
    let mut options = store.options(BOUNDS);
    options.lease = short;
    let hasty = RedisEngine::open(options).await.unwrap();
    let text = log.text();
    let mut lines = text.lines().filter(|line| line.contains("JOB_LEASE"));
    let warning = lines.find(|line| line.contains(&hasty.node())).unwrap();
    let warning: serde_json::Value = serde_json::from_str(warning).unwrap();
    let fields = &warning["fields"];
    assert_eq!(
        (&fields["lease"], &fields["other_lease"]),
        (&json!(2.0), &json!(6.0))
    );
    assert_eq!(fields["other_node"], patient.node());
    proxy.be_silent(true);
    let second = claim(&hasty).await;
    assert_eq!((second.job.id.as_str(), second.job.attempts), ("a", 2));
    let mut lives = ::redis::cmd("EXISTS");
    lives.arg(format!("{{{}}}:node:{}", store.name, patient.node()));
    let mut connection = store.server.connect().await.unwrap();
    let lives: u8 = lives.query_async(&mut connection).await.unwrap();
    assert_eq!(lives, 0, "its own lease was over");
    drop(first);
}

#[tokio::test]
async fn a_delivery_is_made_by_another_node_when_its_own_is_silent() {
    let store = Namespace::new().await;
    let engine = store.open().await;
    engine.accept(told_job("a")).await.unwrap();
    let claim = claim(&engine).await;
    engine.finish(&claim, completed()).await.unwrap();
    let (first, _lane) = engine.due().await.unwrap().unwrap();
    let other = store.open().await;
    drop(engine);
    let (again, _lane) = other.due().await.unwrap().unwrap();
    assert_eq!(again, first);
    let attempt = Attempt {
        at: chrono::DateTime::UNIX_EPOCH,
        took: Duration::ZERO,
        status: Some(200),
        error: None,
    };
    other
        .attempted(&again, attempt, Next::Delivered)
        .await
        .unwrap();
    assert_eq!(other.undelivered().await, Ok(0));
}

#[tokio::test]
async fn one_node_at_a_time_makes_a_result() {
    let store = Namespace::new().await;
    let [one, two] = two(&store).await;
    let [same, other] = [1, 2].map(|image| Work::Result(key(image)));
    let turn = one.turn(&same).await;
    let mut waiting = Box::pin(two.turn(&same));
    drop(two.turn(&other).await);
    tokio::select! {
        biased;
        _ = &mut waiting => panic!("the other has the turn"),
        () = tokio::task::yield_now() => {}
    }
    drop(turn);
    let turn = waiting.await;
    // It ends with its node, at the latest.
    std::mem::forget(turn);
    drop(two);
    let _turn = one.turn(&same).await;
}

#[tokio::test]
async fn one_node_at_a_time_tells_of_a_batch_and_its_end_comes_last() {
    let store = Namespace::new().await;
    let [one, two] = two(&store).await;
    let jobs = (1..=3).map(|number| (id(&format!("b-{number}")), request()));
    let batch = NewBatch {
        id: id("b"),
        jobs: jobs.collect(),
        callback_url: Some(url("http://receiver.example/")),
        base_url: String::new(),
        client: "client".into(),
        request_id: None,
    };
    let accepted = one.accept_batch(batch).await;
    assert_eq!(accepted, Ok(AcceptedBatch::Created));
    let turn = one.telling(&id("b"), 2).await.unwrap();
    assert!(two.telling(&id("b"), 1).await.is_none(), "it is no news");
    for _ in 0..3 {
        let claim = claim(&two).await;
        two.finish(&claim, completed()).await.unwrap();
    }
    let mut due = Box::pin(two.due());
    let put_off = eventually("its end waits", || async {
        let records = one.deliveries(&id("b")).await.unwrap();
        let record = records.first()?;
        (record.next_at? > record.delivery.created_at).then_some(())
    });
    tokio::select! {
        _ = &mut due => panic!("the other is still telling"),
        () = put_off => {}
    }
    drop(turn);
    let (delivery, _lane) = due.await.unwrap().unwrap();
    assert_eq!(delivery.of, id("b"));
    assert!(two.telling(&id("b"), 3).await.is_none(), "it has ended");
}

#[tokio::test]
async fn two_nodes_of_one_name_do_not_run() {
    let log = Log::keep();
    let store = Namespace::new().await;
    let name = "taken-twice";
    let first = store.open_named(name).await.unwrap();
    let mut refused = Box::pin(store.open_named(name));
    let said = eventually("it says what it waits for", || async {
        let text = log.text();
        let mut lines = text.lines().filter(|line| line.contains(name));
        lines
            .find(|line| line.contains("may still be running"))
            .map(str::to_owned)
    });
    let said = tokio::select! {
        said = said => said,
        _ = &mut refused => panic!("it did not wait"),
    };
    assert!(said.contains("waiting up to 7.5 s"), "{said}");
    let refused = refused.await.err();
    assert!(matches!(&refused, Some(OpenError::NameTaken { name: taken }) if taken == name));
    assert_eq!(log.text().matches("taken-twice (NODE_NAME) may").count(), 1);
    first.close().await;
    let second = store.open_named(name).await.unwrap();
    drop(second);
    // It died: its name is free after a lease.
    store.open_named(name).await.unwrap();
}

#[tokio::test]
async fn a_node_whose_name_another_took_goes_by_another() {
    let store = Namespace::new().await;
    let proxy = Proxy::start(store.server.port(), "").await;
    let mut options = store.options(BOUNDS);
    options.node = Some("n".into());
    options.url = RedisUrl::parse(&format!("redis://127.0.0.1:{}/0", proxy.port())).unwrap();
    let sleeper = RedisEngine::open(options).await.unwrap();
    proxy.be_silent(true);
    let usurper = store.open_named("n").await.unwrap();
    proxy.be_silent(false);
    eventually("it is renamed", || async {
        (sleeper.node() != usurper.node()).then_some(())
    })
    .await;
    work(&sleeper, "a").await;
}

#[tokio::test]
async fn clients_take_turns_and_servers_have_lanes() {
    let store = Namespace::new().await;
    let bounds = Bounds {
        lanes: 2,
        client_lanes: 3,
        ..BOUNDS
    };
    let engine = store.open_with(bounds).await;
    let accept = async |name: &str, client: &str, server: &str| {
        let mut new = job(name);
        new.client = client.to_owned();
        new.request.source = Source::Url(url(&format!("http://{server}/a.png")));
        engine.accept(new).await.unwrap();
    };
    for number in 0..4 {
        accept(&format!("a{number}"), "greedy", "hangs.example").await;
    }
    for number in 4..6 {
        accept(&format!("a{number}"), "greedy", "other.example").await;
    }
    accept("b0", "honest", "hangs.example").await;
    accept("b1", "honest", "works.example").await;
    let mut held = Vec::new();
    let mut order = Vec::new();
    for _ in 0..5 {
        let (claim, lane) = engine.claim().await.unwrap().unwrap();
        order.push(claim.job.id.to_string());
        held.push(lane);
    }
    // The clients by turns, of each the servers by turns; two of one server, three of one client.
    assert_eq!(order, ["a0", "b0", "a4", "b1", "a5"]);
    let mut next = Box::pin(engine.claim());
    tokio::select! {
        biased;
        _ = &mut next => panic!("there is no lane for any"),
        () = tokio::time::sleep(Duration::from_millis(50)) => {}
    }
    drop(held.remove(0));
    let (claim, _lane) = next.await.unwrap().unwrap();
    assert_eq!(claim.job.id, id("a1"));
}
