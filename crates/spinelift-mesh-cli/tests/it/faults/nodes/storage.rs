//! S3 is slow, fails, or is gone for all nodes: jobs wait for it, and nothing is lost.

use super::bucket::{Bucket, Line};
use super::{Cluster, LEASE, known, running, signal};
use crate::faults::{Answer, upload};
use crate::server::Server;
use serde_json::{Value, json};
use std::thread;
use std::time::{Duration, Instant};

const NODES: usize = 3;

/// Longer than the lease: who waits for the storage keeps what it has.
const OUTAGE: Duration = Duration::from_secs(LEASE as u64 * 3 / 2);

struct Scene {
    nodes: Vec<Server>,
    cluster: Cluster,
    bucket: Bucket,
}

impl Scene {
    /// Nodes that have an image at a time.
    fn new(variables: &[(&str, &str)]) -> Self {
        let (cluster, bucket) = (Cluster::new(), Bucket::new());
        let few = [("MAX_CONCURRENT_DOWNLOADS", "1")];
        let told = [&bucket.variables(), &few[..], variables].concat();
        let nodes = (0..NODES).map(|_| cluster.node(&told)).collect();
        Scene {
            nodes,
            cluster,
            bucket,
        }
    }

    /// Gives each node a job of this name, with its number behind it.
    fn accept(&self, name: &str, image: &str) -> Vec<String> {
        let names: Vec<_> = (0..NODES).map(|n| format!("{name}-{n}")).collect();
        for (number, (node, id)) in self.nodes.iter().zip(&names).enumerate() {
            let mut job = self.cluster.job(id, image);
            // What is the same is made by one at a time.
            job["parameters"] = json!({ "min_contour_area": number + 20 });
            let answer = node.generate(&job);
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        names
    }

    /// The same with an image that comes along.
    fn upload(&self, name: &str) -> Vec<String> {
        let names: Vec<_> = (0..NODES).map(|n| format!("{name}-{n}")).collect();
        for (node, id) in self.nodes.iter().zip(&names) {
            let answer = self.send(node, id);
            assert_eq!(answer.status, 202, "{answer:?}");
        }
        names
    }

    fn send(&self, node: &Server, id: &str) -> Answer {
        upload(node, id, &self.cluster.receiver.url("/")).unwrap()
    }

    /// A job of each node that has its image, and more that wait for theirs.
    fn busy(&self) -> Vec<String> {
        let begun = self.accept("begun", "/gated.png");
        for id in &begun {
            running(&self.nodes[0], id);
        }
        let sent = self.upload("sent");
        assert_eq!(self.bucket.stored("uploads/").len(), NODES);
        [begun, sent].concat()
    }

    fn are_not_ready(&self, reason: &str) {
        for node in &self.nodes {
            node.wait_until_not_ready(&[("storage", reason)]);
        }
    }

    /// All jobs have completed, every node knows it and has the results, and each end was told once.
    fn all_complete(&self, ids: &[String]) {
        let nodes = &self.nodes;
        for id in ids {
            let status = self.cluster.is_done(&nodes[0], id);
            let first = result(&nodes[0], id);
            for node in &nodes[1..] {
                assert_eq!(known(node, id), known(&nodes[0], id), "{status}");
                assert_eq!(result(node, id), first, "{id}");
                node.has_told(&self.cluster.mailbox, id, "completed", 1);
            }
        }
        let mut jobs = self.cluster.jobs(&nodes[0]);
        let mut expected = ids.to_vec();
        jobs.sort();
        expected.sort();
        assert_eq!(jobs, expected);
        for id in ids {
            assert_eq!(self.cluster.mailbox.ends(id).len(), 1, "{id}");
        }
        // Images go with their jobs' ends.
        nodes[0].wait_for(|_| self.bucket.stored("uploads/").is_empty());
        assert_eq!(self.bucket.stored("results/").len(), ids.len());
    }

    /// No node has run a job of these twice.
    fn begun_once(&self, ids: &[String]) {
        for id in ids {
            let status = self.nodes[0].about(id, "status").body;
            assert_eq!(status["attempts"], 1, "{status}");
        }
    }
}

fn result(node: &Server, id: &str) -> Value {
    let answer = node.about(id, "result");
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

/// What cannot do without the storage is put off, everything else goes on.
fn puts_off(scene: &Scene, node: &Server, early: &str) {
    let sent = scene.send(node, "put-off");
    for answer in [sent, node.about(early, "result")] {
        answer.is_put_off(503, "STORAGE_UNAVAILABLE");
    }
    assert_eq!(node.about("put-off", "status").status, 404);
    assert_eq!(known(node, early)["status"], "completed");
    let ends = scene.cluster.mailbox.ends(early);
    assert_eq!(ends.len(), 1, "{ends:?}");
}

/// Jobs in every state are there when the storage fails, others come meanwhile.
fn outlasts(failure: Line) {
    let scene = Scene::new(&[]);
    let early = scene.accept("early", "/star.png");
    scene.all_complete(&early);
    let busy = scene.busy();
    scene.bucket.set(failure);
    let failed = Instant::now();
    scene.are_not_ready("S3_ENDPOINT");
    let late = scene.accept("late", "/star.png");
    thread::scope(|scope| {
        for (node, early) in scene.nodes.iter().zip(&early) {
            let scene = &scene;
            scope.spawn(move || puts_off(scene, node, early));
        }
    });
    scene.cluster.gate.open();
    // They are made, and cannot be stored.
    for id in &busy[..NODES] {
        scene.nodes[0].wait_for(|node| node.about(id, "status").body["progress"] == 95);
    }
    scene.nodes[0].wait_for(|node| {
        node.is_alive();
        failed.elapsed() > OUTAGE
    });
    scene.are_not_ready("S3_ENDPOINT");
    let waiting = [busy, late].concat();
    for id in &waiting {
        assert_eq!(known(&scene.nodes[1], id)["status"], "processing", "{id}");
        assert!(scene.cluster.mailbox.ends(id).is_empty(), "{id}");
    }
    scene.bucket.set(Line::Works);
    scene.nodes.iter().for_each(Server::wait_until_ready);
    // Who was told to come back does.
    assert_eq!(scene.send(&scene.nodes[0], "put-off").status, 202);
    let all = [early, waiting, vec!["put-off".to_owned()]].concat();
    scene.all_complete(&all);
    scene.begun_once(&all);
}

#[test]
fn jobs_wait_while_connections_are_refused() {
    outlasts(Line::Gone);
}

#[test]
fn jobs_wait_while_connections_are_closed() {
    outlasts(Line::Closes);
}

#[test]
fn jobs_wait_while_nothing_is_answered() {
    outlasts(Line::Hangs);
}

#[test]
fn jobs_wait_while_answers_come_byte_by_byte() {
    outlasts(Line::Drips);
}

#[test]
fn jobs_wait_while_every_answer_is_an_error() {
    outlasts(Line::Answers(500));
}

#[test]
fn jobs_wait_while_every_answer_is_to_come_back() {
    outlasts(Line::Answers(503));
}

#[test]
fn jobs_are_done_with_a_storage_that_takes_seconds() {
    // Patience enough.
    let scene = Scene::new(&[("S3_TIMEOUT", "60")]);
    scene.bucket.set(Line::Slow(Duration::from_millis(2500)));
    // It is so slow that other nodes should be asked.
    scene.are_not_ready("S3_ENDPOINT");
    let asked = scene.accept("asked", "/star.png");
    let sent = scene.upload("sent");
    let all = [asked, sent].concat();
    for (node, id) in scene.nodes.iter().cycle().zip(&all) {
        scene.cluster.is_done(node, id);
    }
    scene.begun_once(&all);
    scene.are_not_ready("S3_ENDPOINT");
    scene.bucket.set(Line::Works);
    scene.nodes.iter().for_each(Server::wait_until_ready);
    scene.all_complete(&all);
}

#[test]
fn nodes_that_end_while_the_storage_is_gone_leave_their_jobs_to_others() {
    let mut scene = Scene::new(&[("DRAIN_TIMEOUT", "1")]);
    let all = scene.busy();
    scene.bucket.set(Line::Gone);
    scene.cluster.gate.open();
    for id in &all[..NODES] {
        scene.nodes[0].wait_for(|node| node.about(id, "status").body["progress"] == 95);
    }
    // One is killed, one is told to end.
    let killed = scene.nodes.pop().unwrap();
    signal("-KILL", &killed);
    let mut ending = scene.nodes.pop().unwrap();
    signal("-TERM", &ending);
    let ended = ending.child.wait().unwrap();
    assert!(ended.success(), "{ended}");
    // What they had waits again, for the last one, which has to wait itself.
    scene.nodes[0].wait_for(|last| {
        let states = all.iter().map(|id| known(last, id)["state"].clone());
        states.filter(|state| *state == "queued").count() == 2 * (NODES - 1)
    });
    scene.are_not_ready("S3_ENDPOINT");
    scene.bucket.set(Line::Works);
    scene.nodes[0].wait_until_ready();
    scene.all_complete(&all);
}
