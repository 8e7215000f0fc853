//! Processes of the real program.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub(crate) struct Node {
    child: Child,
    pub(crate) base: String,
    _directory: TempDir,
}

impl Node {
    /// Starts the program on a free port, and waits until it says which.
    pub(crate) fn start(program: &str, here: &str, environment: &[(&str, String)]) -> Self {
        let directory = TempDir::new().unwrap();
        let mut child = Command::new(std::fs::canonicalize(program).unwrap())
            .args(["serve", "--port", "0"])
            .current_dir(directory.path())
            .env("ALLOWED_PRIVATE_HOSTS", format!("{here},127.0.0.1"))
            .env("LOG_LEVEL", "off")
            .env("MAX_JOBS_PER_CLIENT", "1000000")
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut first = String::new();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        output.read_line(&mut first).unwrap();
        let base = first.split_whitespace().nth(2).unwrap().to_owned();
        Self {
            child,
            base,
            _directory: directory,
        }
    }

    pub(crate) fn cpu(&self) -> f64 {
        cpu_of(self.child.id())
    }

    /// Resident memory in MiB.
    pub(crate) fn resident(&self) -> f64 {
        let pid = i32::try_from(self.child.id()).unwrap();
        let status = procfs::process::Process::new(pid).unwrap().status();
        status.unwrap().vmrss.unwrap_or(0) as f64 / 1024.0
    }
}

/// Seconds of CPU that a process has used.
pub(crate) fn cpu_of(process: u32) -> f64 {
    let process = procfs::process::Process::new(process as i32).unwrap();
    let stat = process.stat().unwrap();
    (stat.utime + stat.stime) as f64 / procfs::ticks_per_second() as f64
}

impl Drop for Node {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-TERM", &pid]).status();
        let _ = self.child.wait();
    }
}
