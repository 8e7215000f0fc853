//! The `spinelift-mesh` command.

fn main() {}
