//! The service as a process, and what a client does with it.

use crate::command::spinelift_mesh;
use axum::Router;
use axum::extract::{Path as UrlPath, State};
use axum::routing::get;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// Far more than anything takes; a test that hangs must fail.
const PATIENCE: Duration = Duration::from_secs(120);

pub(crate) struct Server {
    pub(crate) child: Child,
    pub(crate) base: String,
    _guard: Guard,
}

/// Kills a process if the tests are killed, which can clean up nothing then.
struct Guard(Child);

impl Guard {
    fn of(child: &Child) -> Self {
        let guard = Command::new("sh")
            .args(["-c", r#"cat; kill -9 "$0""#, &child.id().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Guard(guard.unwrap())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Before its input ends: the process may be gone, and another have its number.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Server {
    /// Starts a service that keeps its data in a folder and may load images from a host.
    pub(crate) fn start(folder: &Path, images: SocketAddr) -> Self {
        let mut command = spinelift_mesh();
        command
            .current_dir(folder)
            .args(["serve", "--port", "0"])
            .env("DATABASE_PATH", "data/jobs.db")
            .env("STORAGE_PATH", "data/storage")
            .env("ALLOWED_PRIVATE_HOSTS", images.to_string())
            .env("MAX_ATTEMPTS", "10")
            // Each job is to make a result of its own.
            .env("RESULT_CACHE_SIZE", "0")
            .env("LOG_LEVEL", "error")
            .stderr(Stdio::inherit());
        Self::spawn(&mut command)
    }

    /// Starts any service, and reads its address from its first line.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let guard = Guard::of(&child);
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap())
            .read_line(&mut line)
            .unwrap();
        let base = line
            .split_whitespace()
            .find(|word| word.starts_with("http://"));
        let base = base
            .unwrap_or_else(|| panic!("no address in {line:?}"))
            .to_owned();
        Server {
            child,
            base,
            _guard: guard,
        }
    }

    /// As the operating system would in need of memory.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn post(&self, job_id: &str, image_url: &str) -> Value {
        let request = json!({ "job_id": job_id, "image_url": image_url });
        let url = format!("{}/api/v1/mesh/generate", self.base);
        agent()
            .post(url)
            .send_json(request)
            .unwrap()
            .body_mut()
            .read_json()
            .unwrap()
    }

    pub(crate) fn status(&self, job_id: &str) -> Value {
        get_json(&format!("{}/api/v1/mesh/{job_id}/status", self.base))
    }

    pub(crate) fn result(&self, job_id: &str) -> Value {
        get_json(&format!("{}/api/v1/mesh/{job_id}/result", self.base))
    }

    pub(crate) fn is_completed(&self, job_id: &str) -> bool {
        let status = self.status(job_id);
        assert_ne!(status["status"], "failed", "{status}");
        status["status"] == "completed"
    }

    #[track_caller]
    pub(crate) fn wait_for(&self, mut condition: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        while !condition(self) {
            assert!(start.elapsed() < PATIENCE, "waited in vain");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It has ended already unless the test failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn agent() -> ureq::Agent {
    ureq::Agent::config_builder().proxy(None).build().into()
}

pub(crate) fn get_json(url: &str) -> Value {
    agent()
        .get(url)
        .call()
        .unwrap()
        .body_mut()
        .read_json()
        .unwrap()
}

/// Serves an image under any path, but no more often than it has leave to.
pub(crate) struct ImageServer {
    pub(crate) address: SocketAddr,
    leave: Arc<Semaphore>,
    _runtime: tokio::runtime::Runtime,
}

impl ImageServer {
    pub(crate) fn start(image: Vec<u8>) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let leave = Arc::new(Semaphore::new(0));
        let (sender, address) = mpsc::channel();
        let state = (image, Arc::clone(&leave));
        runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            sender.send(listener.local_addr().unwrap()).unwrap();
            let router = Router::new()
                .route("/{name}", get(image_when_allowed))
                .with_state(state);
            axum::serve(listener, router).await.unwrap();
        });
        ImageServer {
            address: address.recv().unwrap(),
            leave,
            _runtime: runtime,
        }
    }

    /// Lets as many more requests through.
    pub(crate) fn allow(&self, requests: usize) {
        self.leave.add_permits(requests);
    }

    pub(crate) fn url(&self, name: &str) -> String {
        format!("http://{}/{name}", self.address)
    }
}

async fn image_when_allowed(
    UrlPath(_name): UrlPath<String>,
    State((image, leave)): State<(Vec<u8>, Arc<Semaphore>)>,
) -> Vec<u8> {
    leave.acquire().await.unwrap().forget();
    image
}
