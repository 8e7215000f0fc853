//! What stops the process for these tests is not in what is shipped.

use std::process::Command;

#[test]
fn fault_points_are_not_in_what_is_shipped() {
    let features = |edges: &str| {
        let tree = Command::new(env!("CARGO"))
            .args(["tree", "--offline", "--package", "spinelift-mesh-cli"])
            .args(["--edges", edges])
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(tree.status.success(), "{tree:?}");
        String::from_utf8(tree.stdout).unwrap()
    };
    assert!(features("features").contains("fault-points"));
    assert!(!features("features,no-dev").contains("fault-points"));
}
