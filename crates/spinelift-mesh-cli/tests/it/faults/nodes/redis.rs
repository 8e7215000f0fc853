//! A real server of Redis, whose data outlives its process.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Ports that the system does not give away by itself, so that nobody else takes that of a server
/// while it is gone.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

pub(super) struct RedisServer {
    port: u16,
    folder: TempDir,
    child: Option<Child>,
}

impl RedisServer {
    pub(super) fn start() -> Self {
        let mut server = RedisServer {
            port: 0,
            folder: tempfile::tempdir().unwrap(),
            child: None,
        };
        loop {
            server.port = fastrand::u16(PORTS);
            if server.is_started() {
                return server;
            }
        }
    }

    /// Starts it once more.
    pub(super) fn restart(&mut self) {
        assert!(self.is_started(), "port {} was taken", self.port);
    }

    /// Whether the port was free.
    fn is_started(&mut self) -> bool {
        let chosen = std::env::var_os("SPINELIFT_TEST_REDIS_SERVER");
        let program = chosen.map_or_else(|| PathBuf::from("redis-server"), PathBuf::from);
        let child = Command::new(&program)
            .args(["--bind", "127.0.0.1", "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "yes"])
            .args(["--appendfsync", "always", "--dir"])
            .arg(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let mut child = child.unwrap_or_else(|error| {
            panic!(
                "{} does not start ({error}): run tools/test-servers",
                program.display()
            )
        });
        let began = Instant::now();
        loop {
            if child.try_wait().unwrap().is_some() {
                return false;
            }
            // Another server may have the port.
            if self.process().is_some_and(|id| id == child.id()) {
                self.child = Some(child);
                return true;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no answer");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process that answers, once it has loaded its data.
    fn process(&self) -> Option<u32> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.write_all(b"PING\r\nINFO server\r\nQUIT\r\n").ok()?;
        let mut said = String::new();
        stream.read_to_string(&mut said).ok()?;
        let line = said.starts_with("+PONG").then(|| {
            let mut lines = said.lines();
            lines.find_map(|line| line.strip_prefix("process_id:"))
        });
        line??.parse().ok()
    }

    /// `kill -9`.
    pub(super) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// What it knew is gone.
    pub(super) fn forget(&self) {
        assert!(self.child.is_none());
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(super) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}
