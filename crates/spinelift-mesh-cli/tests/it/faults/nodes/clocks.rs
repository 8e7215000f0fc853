//! Nodes whose clocks differ by minutes.

use super::{Cluster, KEY, now, signal, time};
use crate::faults::fetched;
use crate::server::Server;

const SKEW: i64 = 60;

/// Nodes whose clocks are fast and slow.
fn nodes(cluster: &Cluster, variables: &[(&str, &str)]) -> [Server; 2] {
    [("fast", SKEW), ("slow", -SKEW)].map(|(name, offset)| {
        cluster.home.set_clock(name, offset);
        let file = cluster.home.path(name);
        let clock = ("SPINELIFT_CLOCK_OFFSET_FILE", file.to_str().unwrap());
        let keys = ("API_KEYS", KEY);
        cluster.node(&[&[clock, keys], variables].concat())
    })
}

#[test]
fn nodes_whose_clocks_differ_agree() {
    let cluster = Cluster::new();
    // Less than they differ by.
    let nodes = nodes(&cluster, &[("JOB_TTL", "55")]);
    let began = now();
    let ids: Vec<_> = (0..10).map(|n| format!("job-{n}")).collect();
    for (number, id) in ids.iter().enumerate() {
        cluster.accept(&nodes[number % 2], id, "/star.png");
    }
    for (number, id) in ids.iter().enumerate() {
        let [asked, other] = [&nodes[number % 2], &nodes[1 - number % 2]];
        let status = cluster.is_done(asked, id);
        let times = ["created_at", "finished_at"].map(|name| time(&status[name]));
        assert!(times.is_sorted(), "{status}");
        let off = (times[0] - began).num_seconds().abs();
        assert!(off < SKEW / 2, "{off} s: {status}");
        assert_eq!(cluster.mailbox.ends(id).len(), 1, "told once more");
        assert_eq!(other.delivery(id)["attempts"], 1);
        // What one of them signs the other takes.
        let url = status["result_url"].as_str().unwrap();
        assert_eq!(fetched(url), 200, "{url}");
        assert_eq!(fetched(&url.replace(&asked.base, &other.base)), 200);
    }
    // Each has tidied up by now, at the start of which nothing is 55 s old.
    assert!((now() - began).num_seconds() < 55, "too slow a machine");
    assert_eq!(cluster.jobs(&nodes[0]).len(), ids.len());
}

#[test]
fn what_is_over_goes_whatever_the_clocks_say() {
    let cluster = Cluster::new();
    let [fast, slow] = nodes(&cluster, &[("JOB_TTL", "2")]);
    // By its own clock it would remove the job a minute later.
    signal("-KILL", &fast);
    let began = now();
    cluster.accept(&slow, "one", "/star.png");
    slow.wait_for(|node| node.about("one", "status").status == 404);
    assert!((now() - began).num_seconds() < SKEW / 2);
}

#[test]
fn a_delivery_is_due_at_the_same_time_for_all() {
    let cluster = Cluster::new();
    let [fast, slow] = nodes(&cluster, &[("CALLBACK_BACKOFF", "1")]);
    cluster.mailbox.refuse(true);
    let began = now();
    cluster.accept(&fast, "one", "/star.png");
    fast.wait_for(|_| cluster.mailbox.ends("one").len() == 1);
    cluster.mailbox.refuse(false);
    let delivery = slow.delivery("one");
    assert!((now() - began).num_seconds() < SKEW / 2, "{delivery}");
    assert_eq!(delivery["status"], "delivered", "{delivery}");
    // A slow test lets more than one attempt be refused.
    let log = delivery["log"].as_array().unwrap();
    assert!(log.len() >= 2, "{delivery}");
    for pair in log.windows(2) {
        let pause = (time(&pair[1]["at"]) - time(&pair[0]["at"])).num_milliseconds();
        assert!((500..SKEW * 500).contains(&pause), "{pause} ms");
    }
    assert_eq!(delivery["attempts"], log.len(), "{delivery}");
    assert_eq!(cluster.mailbox.ends("one").len(), log.len());
}
