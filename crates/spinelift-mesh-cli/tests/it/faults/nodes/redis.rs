//! A real server of Redis, whose data outlives its process.

use port::free_port;
use process::Process;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

#[path = "../../../../../spinelift-mesh-service/tests/it/harness/redis/port.rs"]
mod port;
#[path = "../../../../../spinelift-mesh-service/tests/it/harness/redis/process.rs"]
mod process;

pub(super) struct RedisServer {
    port: u16,
    /// Before its folder goes, the process does.
    process: Option<Process>,
    folder: TempDir,
}

impl RedisServer {
    pub(super) fn start() -> Self {
        let mut server = RedisServer {
            port: 0,
            process: None,
            folder: tempfile::tempdir().unwrap(),
        };
        loop {
            server.port = free_port();
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
        let port = self.port.to_string();
        let arguments = ["--bind", "127.0.0.1", "--port", &port, "--save", ""];
        let lasting = ["--appendonly", "yes", "--appendfsync", "always"];
        let arguments = arguments.into_iter().chain(lasting);
        let mut process = Process::start(self.folder.path(), arguments);
        let began = Instant::now();
        loop {
            if process.has_ended() {
                return false;
            }
            // Another server may have the port.
            if self.answering().is_some_and(|id| id == process.id()) {
                self.process = Some(process);
                return true;
            }
            assert!(began.elapsed() < Duration::from_secs(60), "no answer");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The process that answers, once it has loaded its data.
    fn answering(&self) -> Option<u32> {
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
        self.process = None;
    }

    /// What it knew is gone.
    pub(super) fn forget(&self) {
        assert!(self.process.is_none());
        for entry in fs::read_dir(self.folder.path()).unwrap() {
            fs::remove_dir_all(entry.unwrap().path()).unwrap();
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

pub(super) fn url(port: u16) -> String {
    format!("redis://127.0.0.1:{port}/0")
}
