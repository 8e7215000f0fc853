//! The world around the service: a server of images that can misbehave, and a receiver of
//! callbacks.

use super::eventually;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{LOCATION, USER_AGENT};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::Value;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, LazyLock, Mutex};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

/// A server on a port of its own.
pub(crate) struct Origin {
    address: SocketAddr,
    state: Arc<World>,
}

/// Drawn once: that takes longer than some tests allow.
static LARGE: LazyLock<Vec<u8>> = LazyLock::new(|| disc(1500));

struct World {
    hits: Mutex<HashMap<String, usize>>,
    events: Mutex<Vec<Value>>,
    agents: Mutex<Vec<String>>,
    /// What the results answered that were fetched from within the last callback.
    results: Mutex<Vec<u16>>,
    gate: Semaphore,
}

impl Origin {
    pub(crate) async fn start() -> Self {
        let state = Arc::new(World {
            hits: Mutex::default(),
            events: Mutex::default(),
            agents: Mutex::default(),
            results: Mutex::default(),
            gate: Semaphore::new(0),
        });
        let router = Router::new()
            .route("/{*path}", get(serve))
            .route("/callback", post(callback))
            .route("/callback/hangs-first", post(callback_hangs_first))
            .route("/callback/redirects", post(callback_redirects))
            .with_state(Arc::clone(&state));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, state }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often a path was asked for.
    pub(crate) fn hits(&self, path: &str) -> usize {
        let hits = self.state.hits.lock().unwrap();
        hits.get(path).copied().unwrap_or(0)
    }

    /// Lets everybody in who waits for `/gated.png`, now and later.
    pub(crate) fn open_gate(&self) {
        self.state.gate.add_permits(1000);
    }

    /// Waits for the last event of a job, and gives all of them.
    pub(crate) async fn events(&self, id: &str) -> Vec<Value> {
        eventually(&format!("the last callback of {id}"), || async {
            let all = self.state.events.lock().unwrap();
            let own: Vec<_> = all.iter().filter(|e| e["job_id"] == id).cloned().collect();
            own.last()?.get("status")?;
            Some(own)
        })
        .await
    }

    pub(crate) fn agents(&self) -> Vec<String> {
        self.state.agents.lock().unwrap().clone()
    }

    pub(crate) fn results_seen(&self) -> Vec<u16> {
        self.state.results.lock().unwrap().clone()
    }
}

async fn serve(State(world): State<Arc<World>>, Path(path): Path<String>) -> Response {
    let hits = {
        let mut all = world.hits.lock().unwrap();
        let hits = all.entry(format!("/{path}")).or_insert(0);
        *hits += 1;
        *hits
    };
    match path.as_str() {
        "disc.png" => disc(32).into_response(),
        "large.png" => LARGE.clone().into_response(),
        "clear.png" => png(8, 8, |_, _| 0).into_response(),
        "part.png" => (StatusCode::PARTIAL_CONTENT, disc(32)).into_response(),
        "text.png" => "<html>not an image</html>".into_response(),
        "flaky.png" if hits < 3 => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "flaky.png" => disc(32).into_response(),
        "down.png" => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        "hang.png" => std::future::pending().await,
        "gated.png" => {
            world.gate.acquire().await.unwrap().forget();
            disc(32).into_response()
        }
        // Chunked: no length is announced.
        "chunked.png" => {
            let (sender, receiver) = tokio::sync::mpsc::channel(1);
            tokio::spawn(async move {
                while sender.send(Bytes::from(vec![0; 64 * 1024])).await.is_ok() {}
            });
            Body::new(Endless(receiver)).into_response()
        }
        "loop" => (StatusCode::FOUND, [(LOCATION, "/loop")]).into_response(),
        "to/disc" => (StatusCode::FOUND, [(LOCATION, "../disc.png")]).into_response(),
        "to/file" => (StatusCode::FOUND, [(LOCATION, "file:///etc/passwd")]).into_response(),
        "to/metadata" => {
            let target = "http://169.254.169.254/latest/meta-data";
            (StatusCode::FOUND, [(LOCATION, target)]).into_response()
        }
        // `to/private/9` leads to port 9 of this machine.
        path => match path.strip_prefix("to/private/") {
            Some(port) => {
                let target = format!("http://127.0.0.1:{port}/disc.png");
                (StatusCode::FOUND, [(LOCATION, target)]).into_response()
            }
            None => StatusCode::NOT_FOUND.into_response(),
        },
    }
}

/// A body without an end.
struct Endless(tokio::sync::mpsc::Receiver<Bytes>);

impl axum::body::HttpBody for Endless {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        self.0
            .poll_recv(context)
            .map(|bytes| bytes.map(|bytes| Ok(http_body::Frame::data(bytes))))
    }
}

async fn callback(
    State(world): State<Arc<World>>,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> StatusCode {
    let event: Value = serde_json::from_slice(&body).unwrap();
    let agent = headers[USER_AGENT].to_str().unwrap().to_owned();
    world.agents.lock().unwrap().push(agent);
    if let Some(url) = event["result_url"].as_str() {
        // The service may be shutting down.
        if let Ok(result) = reqwest::get(url).await {
            world.results.lock().unwrap().push(result.status().as_u16());
        }
    }
    world.events.lock().unwrap().push(event);
    StatusCode::NO_CONTENT
}

/// Never answers the first event, and takes the others.
async fn callback_hangs_first(
    state: State<Arc<World>>,
    headers: axum::http::HeaderMap,
    body: Bytes,
) -> StatusCode {
    let event: Value = serde_json::from_slice(&body).unwrap();
    if event["progress"] == 10 {
        std::future::pending::<()>().await;
    }
    callback(state, headers, body).await
}

async fn callback_redirects(State(world): State<Arc<World>>) -> Response {
    *world
        .hits
        .lock()
        .unwrap()
        .entry("/callback/redirects".into())
        .or_insert(0) += 1;
    (StatusCode::TEMPORARY_REDIRECT, [(LOCATION, "/callback")]).into_response()
}

/// A PNG of an opaque disc on nothing.
pub(crate) fn disc(size: u32) -> Vec<u8> {
    let middle = f64::from(size) / 2.0;
    png(size, size, |x, y| {
        let (dx, dy) = (f64::from(x) + 0.5 - middle, f64::from(y) + 0.5 - middle);
        if dx.hypot(dy) < middle * 0.8 { 255 } else { 0 }
    })
}

fn png(width: u32, height: u32, alpha: impl Fn(u32, u32) -> u8) -> Vec<u8> {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, width, height);
    encoder.set_color(png::ColorType::Rgba);
    let mut writer = encoder.write_header().unwrap();
    let pixels: Vec<u8> = (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .flat_map(|(x, y)| [200, 100, 50, alpha(x, y)])
        .collect();
    writer.write_image_data(&pixels).unwrap();
    writer.finish().unwrap();
    file
}
