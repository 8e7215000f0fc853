//! What one job costs, and what it costs more where there are more nodes; run by hand:
//!
//! ```sh
//! tools/test-servers && cargo build --release
//! cargo run --release -p spinelift-mesh-service --example scaling -- target/release/spinelift-mesh
//! ```
//!
//! The real program, a real Redis that writes to disk before it answers, and a real S3 server. With
//! a second argument only one part is measured: `load`, `idle`, `kept`, `engine` or `crowd`.
//! `docs/SCALING.md` has the figures, and what follows from them.

#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod counted_s3;
mod engines;
mod load;
mod neighbours;
mod nodes;
mod redis_costs;
mod table;
mod usage;

/// The servers that the tests use.
#[allow(dead_code)]
#[path = "../../tests/it/harness/redis/mod.rs"]
mod redis_server;
#[allow(dead_code)]
#[path = "../../tests/it/harness/s3/mod.rs"]
mod s3_server;

use redis_server::RedisServer;
use std::time::Duration;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let program = arguments.next().expect("usage: scaling PROGRAM [PART]");
    let part = arguments.next();
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    // Nothing here is encrypted, and yet HTTP clients do not start without.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if wanted("load") {
        load::measure(&program).await;
    }
    if wanted("idle") {
        load::measure_idle(&program).await;
    }
    if wanted("kept") {
        load::measure_kept(&program).await;
    }
    if wanted("engine") {
        engines::measure_at_full_load().await;
    }
    if wanted("crowd") {
        engines::measure_crowds().await;
    }
}

/// A server that has everything on its disk before it answers.
async fn durable_redis() -> RedisServer {
    RedisServer::start(&[
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        // The size of the file is to say how much was written.
        "--auto-aof-rewrite-percentage",
        "0",
    ])
    .await
}

async fn eventually<T, F: Future<Output = Option<T>>>(what: &str, mut ask: impl FnMut() -> F) -> T {
    let answer = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(Duration::from_secs(60), answer).await {
        Ok(answer) => answer,
        Err(_) => panic!("never happened: {what}"),
    }
}
