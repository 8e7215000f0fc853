//! Redis is gone for a while, and comes back with its data or without.

use super::{Cluster, KEY, LEASE, is_down, known, running};
use crate::faults::fetched;
use crate::server::Server;
use std::time::{Duration, Instant};

const FEW: [(&str, &str); 2] = [("MAX_CONCURRENT_DOWNLOADS", "1"), ("API_KEYS", KEY)];

/// Much longer than a lease.
const OUTAGE: Duration = Duration::from_secs(30);

/// Two nodes that run a job each, and one that waits.
fn busy(cluster: &Cluster) -> [Server; 2] {
    let nodes = [cluster.node(&FEW), cluster.node(&FEW)];
    cluster.accept(&nodes[0], "early", "/star.png");
    cluster.is_done(&nodes[0], "early");
    for id in ["first", "second"] {
        cluster.accept(&nodes[0], id, "/gated.png");
        running(&nodes[1], id);
    }
    cluster.accept(&nodes[1], "waiting", "/star.png");
    nodes
}

/// All that was accepted completes, each job in its first attempt.
fn all_complete(cluster: &Cluster, nodes: &[Server; 2]) {
    for id in ["early", "first", "second", "waiting"] {
        let status = cluster.is_done(&nodes[0], id);
        assert_eq!(status["attempts"], 1, "{status}");
        assert_eq!(known(&nodes[1], id), known(&nodes[0], id));
    }
    let mut jobs = cluster.jobs(&nodes[1]);
    jobs.sort();
    assert_eq!(jobs, ["early", "first", "second", "waiting"]);
}

#[test]
fn nothing_is_lost_with_a_server_that_is_killed() {
    let mut cluster = Cluster::new();
    let nodes = busy(&cluster);
    for _ in 0..3 {
        cluster.redis.kill();
        cluster.redis.restart();
        nodes.iter().for_each(Server::wait_until_ready);
    }
    cluster.gate.open();
    all_complete(&cluster, &nodes);
}

/// Clients are told to come back, whatever they ask for.
fn are_put_off(cluster: &Cluster, nodes: &[Server; 2]) {
    let late = cluster.job("late", "/star.png");
    for node in nodes {
        node.generate(&late).is_put_off(503, "STORAGE_UNAVAILABLE");
        for path in ["/api/v1/mesh", "/api/v1/mesh/first/status"] {
            let answer = node.ask("GET", path);
            answer.is_put_off(503, "STORAGE_UNAVAILABLE");
        }
    }
}

#[test]
fn while_the_server_is_gone_clients_are_put_off_and_work_goes_on() {
    let mut cluster = Cluster::new();
    let nodes = busy(&cluster);
    cluster.redis.kill();
    let gone = Instant::now();
    nodes.iter().for_each(is_down);
    are_put_off(&cluster, &nodes);
    // They compute meanwhile what they have, and hold it for longer than their leases.
    cluster.gate.open();
    nodes[0].wait_for(|_| {
        nodes.iter().for_each(Server::is_alive);
        gone.elapsed() > OUTAGE
    });
    nodes.iter().for_each(is_down);
    are_put_off(&cluster, &nodes);
    cluster.redis.restart();
    nodes.iter().for_each(Server::wait_until_ready);
    all_complete(&cluster, &nodes);
    cluster.accept(&nodes[0], "late", "/star.png");
    cluster.is_done(&nodes[1], "late");
}

#[test]
fn an_outage_of_about_a_lease_makes_no_job_run_twice() {
    let mut cluster = Cluster::new();
    let nodes = busy(&cluster);
    for tenths in [7, 9, 11, 13] {
        cluster.redis.kill();
        let gone = Instant::now();
        let long = Duration::from_millis(tenths * LEASE as u64 * 100);
        nodes[0].wait_for(|_| gone.elapsed() > long);
        cluster.redis.restart();
        nodes.iter().for_each(Server::wait_until_ready);
    }
    cluster.gate.open();
    all_complete(&cluster, &nodes);
}

#[test]
fn a_server_that_forgets_everything_is_begun_with_anew() {
    let mut cluster = Cluster::new();
    let nodes = busy(&cluster);
    cluster.redis.kill();
    cluster.redis.forget();
    cluster.redis.restart();
    nodes.iter().for_each(Server::wait_until_ready);
    for node in &nodes {
        for id in ["early", "first", "second", "waiting"] {
            assert_eq!(node.about(id, "status").status, 404, "{id}");
        }
        assert_eq!(cluster.jobs(node).len(), 0);
    }
    // A job of the same name is another one, whatever comes of the first.
    cluster.accept(&nodes[1], "first", "/star.png");
    cluster.gate.open();
    cluster.accept(&nodes[0], "new", "/star.png");
    for id in ["first", "new"] {
        let status = cluster.is_done(&nodes[1], id);
        assert_eq!(status["attempts"], 1, "{status}");
        assert_eq!(cluster.mailbox.ends(id).len(), 1);
    }
    for id in ["second", "waiting"] {
        assert_eq!(nodes[0].about(id, "status").status, 404, "{id}");
    }
    // What a node signs one that starts now takes.
    let third = cluster.node(&FEW);
    let signed = nodes[0].completed("new")["result_url"].clone();
    let signed = signed.as_str().unwrap();
    assert_eq!(fetched(&signed.replace(&nodes[0].base, &third.base)), 200);
}

#[test]
fn a_node_that_starts_without_the_server_says_so() {
    let mut cluster = Cluster::new();
    cluster.redis.kill();
    let said = cluster.refused(&[]);
    assert!(said.contains("REDIS_URL"), "{said}");
}
