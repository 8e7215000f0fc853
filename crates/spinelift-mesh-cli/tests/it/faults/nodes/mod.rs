//! Several nodes that share Redis and a folder or a bucket, while one of them, their servers, or what
//! is between them fails.

mod bucket;
mod clocks;
mod cuts;
mod deaths;
mod names;
mod outages;
mod pauses;
mod proxy;
mod redis;
mod roles;
mod rolling;
mod storage;

use super::peer::{Mailbox, Peer};
use super::{Gate, Home, KEY, job};
use crate::server::Server;
use crate::sprites::star;
use chrono::{DateTime, Utc};
use redis::RedisServer;
use serde_json::Value;
use std::fs;
use std::time::SystemTime;

/// After so many seconds of silence a node's jobs are given to others: so many that a slow machine
/// is not taken for a dead node.
const LEASE: i64 = 8;

/// What nodes share, and those that they have to do with.
struct Cluster {
    home: Home,
    redis: RedisServer,
    mailbox: Mailbox,
    receiver: Peer,
    images: Peer,
    gate: Gate,
}

impl Cluster {
    fn new() -> Self {
        let (mailbox, gate) = (Mailbox::default(), Gate::default());
        Cluster {
            home: Home::new(),
            redis: RedisServer::start(),
            receiver: mailbox.receiver(),
            images: gate.images(star(64, 5)),
            mailbox,
            gate,
        }
    }

    fn node(&self, variables: &[(&str, &str)]) -> Server {
        self.node_at(self.redis.port(), variables)
    }

    /// A node that reaches Redis at this port.
    fn node_at(&self, port: u16, variables: &[(&str, &str)]) -> Server {
        let (url, lease) = (redis::url(port), LEASE.to_string());
        self.home.start(&shared(&url, &lease, variables))
    }

    /// Starts a node in vain: what was said.
    #[track_caller]
    fn refused(&self, variables: &[(&str, &str)]) -> String {
        let (url, lease) = (redis::url(self.redis.port()), LEASE.to_string());
        self.home.refused(&shared(&url, &lease, variables))
    }

    /// A node that stops for ever at a point of what it does.
    fn node_until(&self, point: &str, variables: &[(&str, &str)]) -> Server {
        let stopped = self.home.path("stopped");
        let stop = [
            ("SPINELIFT_STOP_AT", point),
            ("SPINELIFT_STOPPED", stopped.to_str().unwrap()),
        ];
        self.node(&[&stop, variables].concat())
    }

    /// Waits until the node has come to that point.
    #[track_caller]
    fn stops(&self, node: &Server) {
        let stopped = self.home.path("stopped");
        node.wait_for(|_| fs::read(&stopped).is_ok_and(|name| !name.is_empty()));
    }

    fn job(&self, id: &str, image: &str) -> Value {
        job(id, &self.images.url(image), &self.receiver.url("/"))
    }

    fn accept(&self, node: &Server, id: &str, image: &str) {
        node.accept(id, &self.images.url(image), &self.receiver.url("/"));
    }

    /// The job has completed, and its receiver knows.
    #[track_caller]
    fn is_done(&self, node: &Server, id: &str) -> Value {
        let status = node.completed(id);
        node.has_told(&self.mailbox, id, "completed", 1);
        status
    }

    /// The names of all jobs there are.
    fn jobs(&self, node: &Server) -> Vec<String> {
        let page = node.ask("GET", "/api/v1/mesh?limit=200").body;
        assert!(page["next"].is_null(), "{page}");
        let jobs = page["jobs"].as_array().unwrap().iter();
        jobs.map(|job| job["job_id"].as_str().unwrap().to_owned())
            .collect()
    }
}

/// What all nodes are told.
fn shared<'a>(
    url: &'a str,
    lease: &'a str,
    variables: &[(&'a str, &'a str)],
) -> Vec<(&'a str, &'a str)> {
    let shared = [
        ("JOB_BACKEND", "redis"),
        ("REDIS_URL", url),
        ("JOB_LEASE", lease),
        // Gates are closed for as long as an outage takes.
        ("IMAGE_FIRST_BYTE_TIMEOUT", "120"),
    ];
    [&shared, variables].concat()
}

/// What any node says of a job; the URL of its result leads to the node that is asked.
fn known(node: &Server, id: &str) -> Value {
    let mut status = node.about(id, "status").body;
    status.as_object_mut().unwrap().remove("result_url");
    status
}

/// It says that it cannot do without Redis, and lives.
#[track_caller]
fn is_down(node: &Server) {
    node.wait_until_not_ready(&[("jobs", "REDIS_URL")]);
}

#[track_caller]
fn running(node: &Server, id: &str) {
    node.wait_for(|node| node.about(id, "status").body["state"] == "running");
}

/// The present, which Redis and the tests agree on.
fn now() -> DateTime<Utc> {
    SystemTime::now().into()
}

#[track_caller]
fn time(value: &Value) -> DateTime<Utc> {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    DateTime::parse_from_rfc3339(text).unwrap().into()
}

fn signal(name: &str, node: &Server) {
    crate::interrupt::send(name, &node.child);
}
