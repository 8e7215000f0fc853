//! Real servers of Redis (or of what speaks its language).

use super::eventually;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::Mutex as AsyncMutex;

/// A server with a folder of its own, which is stopped when the last who uses it is done.
#[derive(Clone)]
pub(crate) struct RedisServer(Arc<Process>);

struct Process {
    port: u16,
    directory: TempDir,
    arguments: Vec<String>,
    child: Mutex<Option<Child>>,
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Process {
    fn kill(&self) {
        if let Some(mut child) = self.child.lock().unwrap().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The server that tests share while there are some that do.
static SHARED: AsyncMutex<Weak<Process>> = AsyncMutex::const_new(Weak::new());

impl RedisServer {
    /// The one that tests share, each in a namespace of its own.
    pub(crate) async fn shared() -> Self {
        let mut shared = SHARED.lock().await;
        if let Some(process) = shared.upgrade() {
            return Self(process);
        }
        let server = Self::start(&[]).await;
        *shared = Arc::downgrade(&server.0);
        server
    }

    /// A server of one's own.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        let server = Self(Arc::new(Process {
            port: free_port(),
            directory: TempDir::new().unwrap(),
            arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            child: Mutex::new(None),
        }));
        server.run().await;
        server
    }

    /// Starts it, again perhaps, with what is in its folder.
    pub(crate) async fn run(&self) {
        let program = program();
        let port = self.port().to_string();
        let child = Command::new(&program)
            .args([
                "--port",
                &port,
                "--bind",
                "127.0.0.1",
                "--save",
                "",
                "--dir",
            ])
            .arg(self.0.directory.path())
            .args(&self.0.arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!(
                "{} does not start ({error}): run tools/test-servers",
                program.display()
            )
        });
        *self.0.child.lock().unwrap() = Some(child);
        eventually("the server answers", || async {
            let mut connection = self.connect().await.ok()?;
            redis::cmd("PING")
                .query_async::<String>(&mut connection)
                .await
                .ok()
        })
        .await;
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        self.0.kill();
    }

    pub(crate) fn port(&self) -> u16 {
        self.0.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port())
    }

    /// A connection that knows nothing of any engine.
    pub(crate) async fn connect(&self) -> redis::RedisResult<redis::aio::MultiplexedConnection> {
        let client = redis::Client::open(self.url())?;
        client.get_multiplexed_async_connection().await
    }
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

/// The server's program.
pub(crate) fn program() -> PathBuf {
    let chosen = std::env::var_os("SPINELIFT_TEST_REDIS_SERVER");
    chosen.map_or_else(|| PathBuf::from("redis-server"), PathBuf::from)
}

/// Waits until somebody listens.
pub(crate) async fn listening(port: u16) {
    eventually("somebody listens", || async {
        TcpStream::connect(("127.0.0.1", port))
            .await
            .ok()
            .map(|_| ())
    })
    .await;
}
