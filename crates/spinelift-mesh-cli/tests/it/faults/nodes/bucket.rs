//! A bucket of a real S3 server, which nodes reach over a line that can fail.

use s3_server::S3Server;
use s3_server::line::Outage;
use tokio::runtime::Runtime;

pub(super) use s3_server::line::Line;

#[allow(dead_code, reason = "the service's tests use more of it")]
#[path = "../../../../../spinelift-mesh-service/tests/it/harness/s3/mod.rs"]
mod s3_server;

pub(super) struct Bucket {
    server: S3Server,
    line: Outage,
    /// Serves both.
    runtime: Runtime,
}

impl Bucket {
    pub(super) fn new() -> Self {
        let runtime = Runtime::new().unwrap();
        let (server, line) = runtime.block_on(async {
            let server = S3Server::start().await;
            let line = server.through().await;
            (server, line)
        });
        Bucket {
            server,
            line,
            runtime,
        }
    }

    /// What nodes are told that keep their results here, and soon notice when they cannot.
    pub(super) fn variables(&self) -> [(&str, &str); 9] {
        [
            ("STORAGE_BACKEND", "s3"),
            ("S3_BUCKET", &self.server.bucket),
            ("S3_PREFIX", &self.server.prefix),
            ("S3_ENDPOINT", &self.line.endpoint),
            ("S3_REGION", &self.server.region),
            ("S3_TIMEOUT", "4"),
            ("AWS_ACCESS_KEY_ID", &self.server.key_id),
            ("AWS_SECRET_ACCESS_KEY", &self.server.secret),
            // Each job is to have a result of its own.
            ("RESULT_CACHE_SIZE", "0"),
        ]
    }

    pub(super) fn set(&self, line: Line) {
        self.line.set(line);
    }

    /// The names of what is stored of a kind, whatever the line does.
    pub(super) fn stored(&self, kind: &str) -> Vec<String> {
        let mut keys = self.runtime.block_on(self.server.keys());
        keys.retain(|key| key.starts_with(kind));
        keys
    }
}
