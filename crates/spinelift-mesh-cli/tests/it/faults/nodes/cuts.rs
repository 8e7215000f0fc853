//! Connections to Redis that break in the middle of a command or an answer.

use super::Cluster;
use super::proxy::{Proxy, Way};
use crate::faults::{Answer, post};
use crate::server::Server;

/// A client that asks again until it is told that its job is safe.
fn insist(node: &Server, job: &serde_json::Value) -> Answer {
    loop {
        let answer = post(&node.base, job).unwrap();
        match answer.status {
            202 => return answer,
            _ => answer.is_put_off(503, "STORAGE_UNAVAILABLE"),
        }
    }
}

/// One job after the other, with a cut after ever more bytes.
fn is_cut(way: Way) {
    /// About what a job takes in all, in either direction.
    const BYTES: usize = 4000;
    const STEP: usize = 97;
    let cluster = Cluster::new();
    let proxy = Proxy::to(([127, 0, 0, 1], cluster.redis.port()).into());
    // The scripts are known, and what else is done once is done.
    let all = cluster.node_at(proxy.port(), &[("RESULT_CACHE_SIZE", "0")]);
    let api = cluster.node(&[("ROLE", "api")]);
    cluster.accept(&all, "warm", "/star.png");
    cluster.is_done(&api, "warm");
    let ids: Vec<_> = (0..BYTES).step_by(STEP).map(|n| n.to_string()).collect();
    let mut cuts = 0;
    for (id, bytes) in ids.iter().zip((0..).step_by(STEP)) {
        proxy.cut_after(way, bytes);
        let job = cluster.job(id, "/star.png");
        insist(&all, &job);
        // Whoever asks once more is told of the same job.
        let again = insist(&all, &job);
        assert_eq!(again.body["job_id"], id.as_str(), "{again:?}");
        api.ended(id);
        cuts += usize::from(proxy.has_cut());
    }
    // With more to say at once, some come later.
    assert!(cuts > ids.len() / 3, "{way:?}: {cuts} cuts");
    for id in &ids {
        let status = cluster.is_done(&api, id);
        assert_eq!(status["attempts"], 1, "{way:?}: {status}");
    }
    assert_eq!(cluster.jobs(&api).len(), ids.len() + 1);
    // The last one may have been too far.
    proxy.cut_after(way, 0);
    all.wait_for(|_| proxy.has_cut());
    all.wait_until_ready();
    let stored = cluster.home.stored();
    assert_eq!(stored.len(), ids.len() + 1, "{stored:?}");
}

#[test]
fn commands_that_are_cut_anywhere_are_done_once() {
    is_cut(Way::Up);
}

#[test]
fn answers_that_are_cut_anywhere_change_nothing() {
    is_cut(Way::Down);
}
