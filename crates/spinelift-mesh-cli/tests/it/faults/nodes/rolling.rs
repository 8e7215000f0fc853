//! All nodes are replaced, one after the other, while clients ask.

use super::{Cluster, signal};
use crate::faults::post;
use crate::server::Server;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const NODES: usize = 3;
const CLIENTS: usize = 4;

/// What takes longer than this does not happen.
const PATIENCE: Duration = Duration::from_secs(120);

/// What a load balancer knows.
struct Balancer {
    bases: Mutex<Vec<String>>,
    /// How many jobs were accepted.
    accepted: AtomicUsize,
    is_over: AtomicBool,
}

impl Balancer {
    fn base(&self) -> String {
        let bases = self.bases.lock().unwrap();
        bases[fastrand::usize(..bases.len())].clone()
    }

    /// Asks for jobs until all is over; which were accepted.
    fn ask(&self, cluster: &Cluster, client: usize) -> Vec<String> {
        let mut accepted = Vec::new();
        while !self.is_over.load(Ordering::SeqCst) {
            let id = format!("{client}-{}", accepted.len());
            let job = cluster.job(&id, "/star.png");
            loop {
                match post(&self.base(), &job) {
                    Ok(answer) if answer.status == 202 => break,
                    Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                    // The node ends: another one is asked.
                    Err(_) => {}
                }
            }
            accepted.push(id);
            self.accepted.fetch_add(1, Ordering::SeqCst);
            // No more than a slow machine can do.
            thread::sleep(Duration::from_millis(100));
        }
        accepted
    }

    /// Waits until so many more jobs are accepted.
    fn work(&self, jobs: usize) {
        let enough = self.accepted.load(Ordering::SeqCst) + jobs;
        let began = Instant::now();
        while self.accepted.load(Ordering::SeqCst) < enough {
            assert!(began.elapsed() < PATIENCE, "nothing is accepted any more");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

#[test]
fn all_nodes_can_be_replaced_under_load() {
    let cluster = Cluster::new();
    let settings = [("JOB_LEASE", "60"), ("RESULT_CACHE_SIZE", "0")];
    let node = || cluster.node(&settings);
    let mut nodes: Vec<Server> = (0..NODES).map(|_| node()).collect();
    let balancer = Balancer {
        bases: Mutex::new(nodes.iter().map(|node| node.base.clone()).collect()),
        accepted: AtomicUsize::new(0),
        is_over: AtomicBool::new(false),
    };
    let accepted: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|client| {
                let (balancer, cluster) = (&balancer, &cluster);
                scope.spawn(move || balancer.ask(cluster, client))
            })
            .collect();
        for (number, node_there) in nodes.iter_mut().enumerate() {
            balancer.work(2 * CLIENTS);
            let mut old = std::mem::replace(node_there, node());
            signal("-TERM", &old);
            let ended = old.child.wait().unwrap();
            assert!(ended.success(), "{ended}");
            balancer.bases.lock().unwrap()[number].clone_from(&node_there.base);
        }
        balancer.work(2 * CLIENTS);
        balancer.is_over.store(true, Ordering::SeqCst);
        let accepted = clients.into_iter().map(|client| client.join().unwrap());
        accepted.flatten().collect()
    });
    for id in &accepted {
        let status = nodes[0].ended(id);
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["attempts"], 1, "{status}");
        nodes[0].wait_for(|_| !cluster.mailbox.ends(id).is_empty());
    }
    // Nothing is told twice, unless under the same id.
    nodes[0].wait_until_ready();
    for id in &accepted {
        let ends = cluster.mailbox.ends(id);
        assert!(ends.iter().all(|end| end == &ends[0]), "{ends:?}");
    }
    nodes[0].wait_for(|_| cluster.home.has_only_results(accepted.len()));
}
