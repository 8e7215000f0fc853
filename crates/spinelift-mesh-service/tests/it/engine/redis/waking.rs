//! Who hears of a job: one node that has nothing to do, and not all.

use super::*;
use futures_util::{FutureExt, StreamExt};

/// Nodes that are known to have workers to spare.
async fn idle(namespace: &Namespace) -> Vec<String> {
    let mut connection = namespace.server.connect().await.unwrap();
    ::redis::cmd("ZRANGE")
        .arg(format!("{{{}}}:idle", namespace.name))
        .arg(0)
        .arg(-1)
        .query_async(&mut connection)
        .await
        .unwrap()
}

async fn number_of_idle(namespace: &Namespace, number: usize) {
    eventually("so many nodes are idle", || async {
        (idle(namespace).await.len() == number).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_job_wakes_the_node_that_has_the_least_to_do() {
    let namespace = Namespace::new().await;
    let engine = namespace.open().await;
    let client = ::redis::Client::open(namespace.server.url()).unwrap();
    let mut ears = client.get_async_pubsub().await.unwrap();
    for node in ["busy", "free"] {
        let channel = format!("{{{}}}:work:{node}", namespace.name);
        ears.subscribe(channel).await.unwrap();
    }
    // Of one that is gone nobody listens, so the next is woken, too.
    namespace.command("ZADD @idle 9 busy 5 free 0 gone").await;
    let mut messages = ears.into_on_message();
    for (job_name, woken, left) in [
        ("a", Some("free"), vec!["busy"]),
        ("b", Some("busy"), vec![]),
        ("c", None, vec![]),
    ] {
        engine.accept(job(job_name)).await.unwrap();
        assert_eq!(idle(&namespace).await, left, "{job_name}");
        if let Some(node) = woken {
            let message = messages.next().await.unwrap();
            let channel = message.get_channel_name();
            assert!(channel.ends_with(&format!(":work:{node}")), "{channel}");
        }
        assert!(messages.next().now_or_never().is_none(), "{job_name}");
    }
}

#[tokio::test]
async fn a_node_is_idle_as_long_as_it_has_workers_to_spare() {
    let namespace = Namespace::new().await;
    let (accepting, working) = (namespace.open().await, namespace.open().await);
    assert_eq!(idle(&namespace).await, Vec::<String>::new());
    let waiting = claim(&working);
    let accepted = async {
        number_of_idle(&namespace, 1).await;
        accepting.accept(job("a")).await.unwrap();
    };
    let (claim, ()) = tokio::join!(waiting, accepted);
    assert_eq!(claim.job.id, id("a"));
    // Its only worker is busy.
    number_of_idle(&namespace, 0).await;
    let (next, ()) = tokio::join!(working.claim(), async {
        number_of_idle(&namespace, 1).await;
        working.stop_claiming();
    });
    assert_eq!(next.map(|next| next.is_some()), Ok(false));
    number_of_idle(&namespace, 0).await;
}

#[tokio::test]
async fn a_node_that_retires_when_it_was_woken_wakes_another() {
    let namespace = Namespace::new().await;
    let engine = namespace.open().await;
    // It is not among the idle ones, as if it had just been woken.
    namespace.command("ZADD @idle 0 another").await;
    engine.stop_claiming();
    number_of_idle(&namespace, 0).await;
}
