//! Who has the images, and who is told of the ends.

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock, Mutex};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

/// The sprites that come with the program.
static SPRITES: LazyLock<Vec<Bytes>> = LazyLock::new(|| {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../assets/samples");
    let mut paths: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap().into())
        .collect()
});

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) images: AtomicU64,
    pub(crate) image_bytes: AtomicU64,
    pub(crate) callbacks: AtomicU64,
    /// Who waits for the end of which job.
    waiting: Mutex<HashMap<String, oneshot::Sender<bool>>>,
}

impl Seen {
    /// Resolves when the end of a job has been told: whether it was completed.
    pub(crate) fn end_of(&self, id: &str) -> oneshot::Receiver<bool> {
        let (sender, receiver) = oneshot::channel();
        self.waiting.lock().unwrap().insert(id.to_owned(), sender);
        receiver
    }
}

/// Serves images and takes callbacks; its `host:port`.
pub(crate) async fn start() -> (String, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let router = Router::new()
        .route("/callback", post(callback))
        .route("/sprite/{number}", get(image))
        .with_state(Arc::clone(&seen));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (here, seen)
}

async fn callback(State(seen): State<Arc<Seen>>, body: Bytes) -> StatusCode {
    seen.callbacks.fetch_add(1, Relaxed);
    let event: Value = serde_json::from_slice(&body).unwrap();
    if let (Some(status), Some(id)) = (event["status"].as_str(), event["job_id"].as_str()) {
        let waiting = seen.waiting.lock().unwrap().remove(id);
        if let Some(waiting) = waiting {
            let _ = waiting.send(status == "completed");
        }
    }
    StatusCode::NO_CONTENT
}

async fn image(State(seen): State<Arc<Seen>>, Path(number): Path<usize>) -> Bytes {
    let file = SPRITES[number % SPRITES.len()].clone();
    seen.images.fetch_add(1, Relaxed);
    seen.image_bytes.fetch_add(file.len() as u64, Relaxed);
    file
}
