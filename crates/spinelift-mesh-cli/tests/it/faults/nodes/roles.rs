//! One node accepts, another works, and any answers.

use super::{Cluster, running};
use crate::faults::request;
use crate::server::{Server, agent};
use serde_json::{Value, json};
use std::thread;

/// The value of a metric, all of its labels that hold the word taken together.
fn counted(node: &Server, name: &str, word: &str) -> f64 {
    let mut answer = agent()
        .get(format!("{}/metrics", node.base))
        .call()
        .unwrap();
    let text = answer.body_mut().read_to_string().unwrap();
    let lines = text.lines().filter(|line| {
        let rest = line.strip_prefix(name);
        rest.is_some_and(|rest| rest.starts_with(['{', ' ']) && rest.contains(word))
    });
    let values = lines.map(|line| line.rsplit_once(' ').unwrap().1);
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

/// The stream of a job's progress, as its names of events, until it ends. What is to happen in it
/// happens once it has begun.
fn events(node: &Server, id: &str, happens: impl FnOnce()) -> Vec<String> {
    let url = format!("{}/api/v1/mesh/{id}/events", node.base);
    let mut answer = agent().get(url).call().unwrap();
    happens();
    let text = answer.body_mut().read_to_string().unwrap();
    let names = text.lines().filter_map(|line| line.strip_prefix("event:"));
    names.map(|name| name.trim().to_owned()).collect()
}

fn ask(node: &Server, method: &str, path: &str) -> (u16, Value) {
    let answer = node.ask(method, &format!("/api/v1/mesh/{path}"));
    (answer.status, answer.body)
}

/// Nodes that answer, and one that works.
fn nodes(cluster: &Cluster) -> [Server; 3] {
    [("api", "asked"), ("worker", "works"), ("api", "answers")].map(|(role, name)| {
        // Whoever has to do with images has one at a time.
        let one = ("MAX_CONCURRENT_DOWNLOADS", "1");
        cluster.node(&[("ROLE", role), ("NODE_NAME", name), one])
    })
}

#[test]
fn any_node_answers_for_what_another_accepted_and_a_third_does() {
    let cluster = Cluster::new();
    let [asked, worker, answers] = nodes(&cluster);
    cluster.accept(&asked, "one", "/gated.png");
    running(&answers, "one");
    assert_eq!(ask(&worker, "GET", "one/status").0, 404);
    worker.wait_until_ready();
    thread::scope(|scope| {
        let heard = scope.spawn(|| events(&answers, "one", || cluster.gate.open()));
        let waited = scope.spawn(|| {
            let url = format!("{}/api/v1/mesh/generate?wait=60", answers.base);
            let same = cluster.job("one", "/gated.png").to_string();
            request("POST", &url, same.as_bytes(), "application/json").unwrap()
        });
        let heard = heard.join().unwrap();
        assert_eq!(heard.last().map(String::as_str), Some("end"), "{heard:?}");
        assert!(heard.len() > 1, "{heard:?}");
        let waited = waited.join().unwrap();
        assert_eq!(waited.status, 200, "{waited:?}");
        assert_eq!(waited.body["status"], "completed", "{waited:?}");
    });
    cluster.is_done(&answers, "one");
    // It can be told once more, and forgotten.
    let delivery = answers.delivery("one")["id"].as_str().unwrap().to_owned();
    let told = cluster.mailbox.ends("one").len();
    let replay = format!("one/deliveries/{delivery}/replay");
    assert_eq!(ask(&answers, "POST", &replay).0, 202);
    answers.wait_for(|_| cluster.mailbox.ends("one").len() > told);
    asked.has_told(&cluster.mailbox, "one", "completed", told + 1);
    assert_eq!(cluster.jobs(&answers), ["one"]);
    assert_eq!(ask(&answers, "DELETE", "one").0, 204);
    assert_eq!(ask(&asked, "GET", "one/status").0, 404);
    assert_eq!(cluster.jobs(&asked).len(), 0);
}

#[test]
fn any_node_cancels_what_another_does() {
    let cluster = Cluster::new();
    let [asked, worker, answers] = nodes(&cluster);
    for id in ["one", "two"] {
        cluster.accept(&asked, id, "/gated.png");
    }
    running(&answers, "one");
    for id in ["two", "one"] {
        assert_eq!(ask(&answers, "POST", &format!("{id}/cancel")).0, 200);
        let status = asked.ended(id);
        assert_eq!(status["state"], "cancelled", "{status}");
        asked.has_told(&cluster.mailbox, id, "failed", 1);
        assert_eq!(cluster.mailbox.ends(id).len(), 1);
    }
    // The only worker is free, though the image has not come.
    cluster.accept(&answers, "next", "/star.png");
    cluster.is_done(&asked, "next");
    worker.wait_for(|worker| counted(worker, "spinelift_jobs_running", "") == 0.0);
}

#[test]
fn the_receiver_of_a_batch_that_many_nodes_make_hears_of_it_in_order() {
    const JOBS: usize = 40;
    let cluster = Cluster::new();
    let few = ("MAX_CONCURRENT_DOWNLOADS", "4");
    let nodes: Vec<_> = (0..3)
        .map(|_| cluster.node(&[few, ("RESULT_CACHE_SIZE", "0")]))
        .collect();
    let image = json!({ "image_url": cluster.images.url("/gated.png") });
    let body = json!({
        "batch_id": "all",
        "images": vec![image; JOBS],
        "callback_url": cluster.receiver.url("/"),
    });
    let url = format!("{}/api/v1/mesh/batch", nodes[0].base);
    let body = body.to_string();
    let answer = request("POST", &url, body.as_bytes(), "application/json").unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    // Each node has some.
    for node in &nodes {
        node.wait_for(|node| counted(node, "spinelift_jobs_running", "") > 0.0);
    }
    cluster.gate.open();
    let status = nodes[1].ended("all");
    assert_eq!(status["counts"]["completed"], JOBS, "{status}");
    nodes[2].has_told(&cluster.mailbox, "all", "completed", 1);
    assert_eq!(cluster.mailbox.ends("all").len(), 1);
    let told = cluster.mailbox.all("all");
    let counts = told.iter().map(|told| {
        let counts = &told.event["counts"];
        counts["completed"].as_u64().unwrap() + counts["failed"].as_u64().unwrap()
    });
    let counts: Vec<_> = counts.collect();
    assert!(counts.is_sorted_by(|a, b| a < b), "{counts:?}");
    assert_eq!(counts.last(), Some(&(JOBS as u64)), "{counts:?}");
    assert!(told.last().unwrap().event["status"].is_string());
}

#[test]
fn what_many_nodes_are_asked_for_at_once_is_made_once() {
    const JOBS: usize = 12;
    let cluster = Cluster::new();
    // More than a node alone takes.
    let few = ("MAX_CONCURRENT_DOWNLOADS", "4");
    let nodes: Vec<_> = (0..3).map(|_| cluster.node(&[few])).collect();
    let ids: Vec<_> = (0..JOBS).map(|n| n.to_string()).collect();
    for (id, node) in ids.iter().zip(nodes.iter().cycle()) {
        cluster.accept(node, id, "/gated.png");
    }
    for node in &nodes {
        node.wait_for(|node| counted(node, "spinelift_jobs_running", "") > 0.0);
    }
    cluster.gate.open();
    for id in &ids {
        cluster.is_done(&nodes[0], id);
    }
    let completed = |result| {
        let each = nodes.iter().map(|node| {
            counted(
                node,
                "spinelift_jobs_completed_total",
                &format!("\"{result}\""),
            )
        });
        each.sum::<f64>()
    };
    // A job has ended before it is counted.
    nodes[0].wait_for(|_| completed("made") + completed("cached") >= JOBS as f64);
    assert_eq!(completed("made"), 1.0);
    assert_eq!(completed("cached"), (JOBS - 1) as f64);
    assert_eq!(cluster.home.stored().len(), 1);
}
