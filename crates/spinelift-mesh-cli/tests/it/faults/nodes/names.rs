//! Names of nodes.

use super::{Cluster, signal};

#[test]
fn no_two_nodes_have_one_name() {
    let cluster = Cluster::new();
    let one = [("NODE_NAME", "one")];
    let first = cluster.node(&one);
    let said = cluster.refused(&one);
    assert!(said.contains("another node named one is running"), "{said}");
    assert!(said.contains("NODE_NAME"), "{said}");
    let second = cluster.node(&[("NODE_NAME", "two")]);
    for node in [&first, &second] {
        node.wait_until_ready();
    }
    // Its name is free once its lease is over.
    signal("-KILL", &first);
    let first = cluster.node(&one);
    cluster.accept(&first, "job", "/star.png");
    cluster.is_done(&second, "job");
    // One that ends gives it back.
    signal("-TERM", &first);
    cluster.node(&one).wait_until_ready();
}
