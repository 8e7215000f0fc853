//! Nodes that are alive and silent: what they do after their lease counts for nothing.

use super::proxy::Proxy;
use super::{Cluster, known, running, signal};
use crate::server::Server;

const JOBS: usize = 6;

fn ids() -> impl Iterator<Item = String> {
    (0..JOBS).map(|n| format!("job-{n}"))
}

/// One node begins some jobs, is silent until another has finished them, and goes on then.
fn is_overtaken(cluster: &Cluster, slow: &Server, be_silent: impl FnOnce(), speak: impl FnOnce()) {
    for id in ids() {
        cluster.accept(slow, &id, "/gated.png");
        running(slow, &id);
    }
    let other = cluster.node(&[("RESULT_CACHE_SIZE", "0")]);
    be_silent();
    // The images come to both.
    cluster.gate.open();
    let ended: Vec<_> = ids().map(|id| cluster.is_done(&other, &id)).collect();
    let ends: Vec<_> = ids().map(|id| cluster.mailbox.ends(&id)).collect();
    speak();
    other.wait_for(|_| {
        let log = cluster.home.log();
        log.matches("an attempt was dropped").count()
            + log.matches("this attempt counts for nothing").count()
            >= JOBS
    });
    slow.wait_until_ready();
    for ((id, ended), ends) in ids().zip(&ended).zip(&ends) {
        assert_eq!(ended["attempts"], 2, "{ended}");
        assert_eq!(known(slow, &id), known(&other, &id));
        assert_eq!(&other.about(&id, "status").body, ended);
        slow.has_told(&cluster.mailbox, &id, "completed", 1);
        assert_eq!(&cluster.mailbox.ends(&id), ends, "told once more");
    }
    // A new one is as good as any: the node is not broken.
    cluster.accept(slow, "new", "/star.png");
    cluster.is_done(slow, "new");
    // Whatever the silent one stored is found once it is old.
    cluster.home.let_time_pass();
    other.wait_for(|_| cluster.home.has_only_results(JOBS + 1));
}

#[test]
fn a_node_that_was_stopped_for_longer_than_its_lease_changes_nothing() {
    let cluster = Cluster::new();
    let slow = cluster.node(&[("RESULT_CACHE_SIZE", "0")]);
    let (stop, go_on) = (|| signal("-STOP", &slow), || signal("-CONT", &slow));
    is_overtaken(&cluster, &slow, stop, go_on);
}

#[test]
fn a_node_that_was_cut_off_for_longer_than_its_lease_changes_nothing() {
    let cluster = Cluster::new();
    let proxy = Proxy::to(([127, 0, 0, 1], cluster.redis.port()).into());
    let slow = cluster.node_at(proxy.port(), &[("RESULT_CACHE_SIZE", "0")]);
    let speak = || {
        // It has stored a result as well, and waits to say so; the other jobs wait for this one.
        slow.wait_for(|_| cluster.home.results().len() > JOBS);
        proxy.let_go_on();
    };
    is_overtaken(&cluster, &slow, || proxy.hold(), speak);
}
