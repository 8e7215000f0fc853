//! Real servers of Redis (or of what speaks its language).

mod port;
mod process;

pub(crate) use port::free_port;
pub(crate) use process::Process;

use super::eventually;
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::Mutex as AsyncMutex;

/// A server with a folder of its own, which is stopped when the last who uses it is done.
#[derive(Clone)]
pub(crate) struct RedisServer(Arc<Server>);

struct Server {
    port: u16,
    /// Before its folder goes, the process does.
    process: Mutex<Option<Process>>,
    directory: TempDir,
    arguments: Vec<String>,
}

/// The server that tests share while there are some that do.
static SHARED: AsyncMutex<Weak<Server>> = AsyncMutex::const_new(Weak::new());

impl RedisServer {
    /// The one that tests share, each in a namespace of its own.
    pub(crate) async fn shared() -> Self {
        let mut shared = SHARED.lock().await;
        if let Some(server) = shared.upgrade() {
            return Self(server);
        }
        let server = Self::start(&[]).await;
        *shared = Arc::downgrade(&server.0);
        server
    }

    /// A server of one's own.
    pub(crate) async fn start(arguments: &[&str]) -> Self {
        loop {
            let server = Self(Arc::new(Server {
                port: free_port(),
                process: Mutex::new(None),
                directory: TempDir::new().unwrap(),
                arguments: arguments.iter().map(|text| (*text).to_owned()).collect(),
            }));
            if server.is_started().await {
                return server;
            }
        }
    }

    /// Starts it again, with what is in its folder.
    pub(crate) async fn run(&self) {
        assert!(self.is_started().await, "port {} was taken", self.port());
    }

    /// Whether the port was free.
    async fn is_started(&self) -> bool {
        let port = self.port().to_string();
        let own = ["--port", &port, "--bind", "127.0.0.1", "--save", ""];
        let given = self.0.arguments.iter().map(String::as_str);
        let process = Process::start(self.0.directory.path(), own.into_iter().chain(given));
        let id = process.id();
        *self.0.process.lock().unwrap() = Some(process);
        eventually("the server answers or ends", || async {
            // Another server may have the port.
            if self.answering().await == Some(id) {
                return Some(true);
            }
            let mut process = self.0.process.lock().unwrap();
            process.as_mut()?.has_ended().then_some(false)
        })
        .await
    }

    /// The process that answers.
    async fn answering(&self) -> Option<u32> {
        let mut connection = self.connect().await.ok()?;
        let mut ask = redis::cmd("INFO");
        let said: String = ask.arg("server").query_async(&mut connection).await.ok()?;
        let mut lines = said.lines();
        let id = lines.find_map(|line| line.strip_prefix("process_id:"))?;
        id.parse().ok()
    }

    /// `kill -9`.
    pub(crate) fn kill(&self) {
        self.0.process.lock().unwrap().take();
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
