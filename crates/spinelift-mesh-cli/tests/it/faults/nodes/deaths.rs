//! `kill -9` of one node; another goes on.

use super::{Cluster, LEASE, now, signal, time};
use crate::faults::{Answer, post, request, upload};
use crate::server::Server;
use chrono::{DateTime, Utc};
use std::fs;
use std::thread;

/// A worker is killed at a point; after how many attempts the job is complete, and how often its
/// end was told at least.
const WORKERS: [(&str, u64, usize); 7] = [
    ("claimed", 2, 1),
    ("loaded", 2, 1),
    ("computed", 2, 1),
    ("stored", 2, 1),
    ("ended", 1, 1),
    ("callback-unsent", 1, 1),
    ("callback-unrecorded", 1, 2),
];

/// A node that has come to a point of its job, and one that has nothing to do.
struct Scene {
    dying: Server,
    other: Server,
    cluster: Cluster,
}

impl Scene {
    fn at(point: &str) -> Self {
        let cluster = Cluster::new();
        let dying = cluster.node_until(point, &[]);
        cluster.accept(&dying, "one", "/star.png");
        cluster.stops(&dying);
        let other = cluster.node(&[]);
        other.wait_until_ready();
        Scene {
            dying,
            other,
            cluster,
        }
    }

    /// When it was dead.
    fn kill(&mut self) -> DateTime<Utc> {
        self.dying.child.kill().unwrap();
        self.dying.child.wait().unwrap();
        now()
    }

    fn goes_on(&self, point: &str, killed: DateTime<Utc>, attempts: u64, told: usize) {
        let (cluster, other) = (&self.cluster, &self.other);
        let status = cluster.is_done(other, "one");
        assert_eq!(status["attempts"], attempts, "{point}: {status}");
        let delivery = other.delivery("one");
        for at in [&status["finished_at"], &delivery["log"][0]["at"]] {
            // They are recorded, so it is no matter when the test learns of them.
            let took = time(at) - killed;
            assert!(
                took.num_milliseconds() < (LEASE + 2) * 1000,
                "{point}: {took}"
            );
        }
        other.has_told(&cluster.mailbox, "one", "completed", told);
        assert_eq!(cluster.jobs(other), ["one"]);
        // What it left is found once it is old.
        cluster.home.let_time_pass();
        other.wait_for(|_| cluster.home.has_only_results(1));
    }
}

#[test]
fn another_node_finishes_what_a_killed_one_began() {
    let all = || WORKERS.into_iter();
    // All nodes have started before the time is taken.
    let mut scenes: Vec<_> = thread::scope(|scope| {
        let starting = all().map(|(point, ..)| scope.spawn(move || Scene::at(point)));
        let starting: Vec<_> = starting.collect();
        starting.into_iter().map(|s| s.join().unwrap()).collect()
    });
    let killed: Vec<_> = scenes.iter_mut().map(Scene::kill).collect();
    for ((scene, killed), (point, attempts, told)) in scenes.iter().zip(killed).zip(all()) {
        scene.goes_on(point, killed, attempts, told);
    }
}

#[test]
fn a_job_that_kills_its_nodes_fails_when_its_attempts_are_spent() {
    let cluster = Cluster::new();
    let two = ("MAX_ATTEMPTS", "2");
    let api = cluster.node(&[("ROLE", "api"), two]);
    cluster.accept(&api, "one", "/star.png");
    for attempt in 1..=2 {
        let dying = cluster.node_until("loaded", &[two]);
        dying.wait_for(|_| {
            let status = api.about("one", "status").body;
            status["attempts"] == attempt
        });
        cluster.stops(&dying);
        dying.kill();
        fs::remove_file(cluster.home.path("stopped")).unwrap();
    }
    // Any other says so, and tells it.
    let other = cluster.node(&[two]);
    let status = other.ended("one");
    assert_eq!(status["error"]["code"], "ATTEMPTS_EXHAUSTED", "{status}");
    other.has_told(&cluster.mailbox, "one", "failed", 1);
}

/// What a client does, and has answered by another node when the one that it asked is killed.
fn repeats(
    point: &str,
    before: impl Fn(&Cluster, &Server),
    ask: impl Fn(&Cluster, &Server) -> Result<Answer, ureq::Error> + Sync,
    expected: u16,
    state: &str,
) {
    let cluster = Cluster::new();
    let other = cluster.node(&[]);
    let dying = cluster.node_until(point, &[("ROLE", "api")]);
    before(&cluster, &dying);
    thread::scope(|scope| {
        let first = scope.spawn(|| ask(&cluster, &dying));
        cluster.stops(&dying);
        signal("-KILL", &dying);
        let answer = first.join().unwrap();
        assert!(answer.is_err(), "{point}: {answer:?}");
    });
    let again = ask(&cluster, &other).unwrap();
    assert_eq!(again.status, expected, "{point}: {again:?}");
    if state.is_empty() {
        return assert_eq!(cluster.jobs(&other).len(), 0, "{point}");
    }
    assert_eq!(cluster.jobs(&other), ["one"], "{point}");
    cluster.gate.open();
    let status = other.ended("one");
    assert_eq!(status["state"], state, "{point}: {status}");
    assert_eq!(status["attempts"], 1, "{point}: {status}");
    other.has_told(
        &cluster.mailbox,
        "one",
        status["status"].as_str().unwrap(),
        1,
    );
}

#[test]
fn a_request_whose_node_is_killed_can_be_repeated_at_another() {
    let generate =
        |cluster: &Cluster, node: &Server| post(&node.base, &cluster.job("one", "/star.png"));
    let ask = |method: &'static str, path: &'static str| {
        move |_: &Cluster, node: &Server| {
            let url = format!("{}/api/v1/mesh/{path}", node.base);
            request(method, &url, b"", "application/json")
        }
    };
    let accept = |image: &'static str| {
        move |cluster: &Cluster, node: &Server| cluster.accept(node, "one", image)
    };
    let none = |_: &Cluster, _: &Server| {};
    let finished = |cluster: &Cluster, node: &Server| {
        cluster.accept(node, "one", "/star.png");
        cluster.is_done(node, "one");
    };
    let running = |cluster: &Cluster, node: &Server| {
        accept("/gated.png")(cluster, node);
        super::running(node, "one");
    };
    let send = |cluster: &Cluster, node: &Server| upload(node, "one", &cluster.receiver.url("/"));
    thread::scope(|scope| {
        scope.spawn(|| repeats("accept-written", none, generate, 202, "completed"));
        scope.spawn(|| repeats("accepted", none, generate, 202, "completed"));
        scope.spawn(|| repeats("upload-stored", none, send, 202, "completed"));
        let cancel = ask("POST", "one/cancel");
        scope.spawn(move || repeats("cancelled", running, cancel, 200, "cancelled"));
        let delete = ask("DELETE", "one");
        scope.spawn(move || repeats("deleted", finished, delete, 404, ""));
    });
}
