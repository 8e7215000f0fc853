//! The service under test.

use super::eventually;
use reqwest::header::HeaderMap;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use spinelift_mesh_service::{AllowedHost, Service, Settings};
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// A service on a port of its own, with a directory of its own.
pub(crate) struct TestService {
    pub(crate) base: String,
    client: Client,
    directory: Arc<TempDir>,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<()>,
}

/// What the service answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn code(&self) -> &str {
        self.body["error"]["code"].as_str().unwrap_or_default()
    }
}

/// Settings for a test: a free port, files below `directory`, and this machine allowed.
pub(crate) fn settings(directory: &Path) -> Settings {
    Settings {
        port: 0,
        database_path: directory.join("jobs.db"),
        storage_path: directory.join("storage"),
        allowed_private_hosts: vec![AllowedHost::parse("127.0.0.1").unwrap()],
        ..Settings::default()
    }
}

impl TestService {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::start_in(Arc::new(TempDir::new().unwrap()), change).await
    }

    /// Starts in the directory of a service that was stopped.
    pub(crate) async fn start_in(
        directory: Arc<TempDir>,
        change: impl FnOnce(&mut Settings),
    ) -> Self {
        let mut settings = settings(directory.path());
        change(&mut settings);
        let service = Service::start(settings).await.unwrap();
        let base = format!("http://{}", service.local_addr());
        let (shutdown, signal) = oneshot::channel();
        let serving = tokio::spawn(async move {
            let signal = async {
                let _ = signal.await;
            };
            service.serve(signal).await.unwrap();
        });
        Self {
            base,
            client: Client::builder().no_proxy().build().unwrap(),
            directory,
            shutdown: Some(shutdown),
            serving,
        }
    }

    /// Shuts the service down, and waits until it is.
    pub(crate) async fn stop(self) -> Arc<TempDir> {
        let service = self.begin_to_stop();
        service.serving.await.unwrap();
        service.directory
    }

    /// Tells the service to shut down.
    pub(crate) fn begin_to_stop(mut self) -> Self {
        self.shutdown.take().unwrap().send(()).unwrap();
        self
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> RequestBuilder {
        let method = method.parse().unwrap();
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub(crate) async fn send(&self, request: RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        let headers = response.headers().clone();
        let bytes = response.bytes().await.unwrap();
        Answer {
            status,
            headers,
            body: serde_json::from_slice(&bytes).unwrap_or(Value::Null),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request("GET", path)).await
    }

    pub(crate) async fn generate(&self, body: &Value) -> Answer {
        self.generate_text(&body.to_string()).await
    }

    pub(crate) async fn generate_text(&self, body: &str) -> Answer {
        let request = self
            .request("POST", "/api/v1/mesh/generate")
            .header("content-type", "application/json")
            .body(body.to_owned());
        self.send(request).await
    }

    /// Has a job accepted.
    pub(crate) async fn accept(&self, id: &str, image_url: &str) {
        let answer = self
            .generate(&json!({ "image_url": image_url, "job_id": id }))
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
    }

    pub(crate) async fn status(&self, id: &str) -> Answer {
        self.get(&format!("/api/v1/mesh/{id}/status")).await
    }

    pub(crate) async fn result(&self, id: &str) -> Answer {
        self.get(&format!("/api/v1/mesh/{id}/result")).await
    }

    /// Waits until a job has ended.
    pub(crate) async fn ended(&self, id: &str) -> Value {
        eventually(&format!("{id} ends"), || async {
            let body = self.status(id).await.body;
            (body["status"] != "processing").then_some(body)
        })
        .await
    }

    /// Waits until a job runs.
    pub(crate) async fn running(&self, id: &str) {
        eventually(&format!("{id} runs"), || async {
            let progress = self.status(id).await.body["progress"].as_u64();
            (progress >= Some(10)).then_some(())
        })
        .await;
    }
}
