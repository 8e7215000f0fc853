//! The process of a server, which ends with the tests, however those end.
//!
//! The tests of the command include this file as well.
#![allow(clippy::unwrap_used)]

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Says which process the server is, and kills it as soon as nobody holds the other end of the
/// shell's input: tests that are killed themselves can clean up nothing.
const GUARD: &str = r#"
    "$0" "$@" </dev/null >/dev/null 2>&1 &
    server=$!
    echo "$server"
    exec 3<&0 >/dev/null 2>&1
    { cat <&3; kill -9 "$server"; } &
    wait "$server"
    kill $!
"#;

/// The server's program.
pub(crate) fn program() -> PathBuf {
    let chosen = std::env::var_os("SPINELIFT_TEST_REDIS_SERVER");
    chosen.map_or_else(|| PathBuf::from("redis-server"), PathBuf::from)
}

pub(crate) struct Process {
    shell: Child,
    id: u32,
}

impl Process {
    /// Starts a server in a folder.
    pub(crate) fn start<S: AsRef<OsStr>>(
        folder: &Path,
        arguments: impl IntoIterator<Item = S>,
    ) -> Self {
        let program = program();
        let version = Command::new(&program).arg("--version").output();
        if let Err(error) = version {
            panic!(
                "{} does not start ({error}): run tools/test-servers",
                program.display()
            );
        }
        let mut shell = Command::new("sh")
            .args(["-c", GUARD])
            .arg(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let said = shell.stdout.take().unwrap();
        BufReader::new(said).read_line(&mut line).unwrap();
        let id = line.trim().parse().unwrap();
        Self { shell, id }
    }

    pub(crate) fn id(&self) -> u32 {
        self.id
    }

    /// Whether it has ended by itself.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.shell.try_wait().unwrap().is_some()
    }
}

impl Drop for Process {
    /// `kill -9`.
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
    }
}
