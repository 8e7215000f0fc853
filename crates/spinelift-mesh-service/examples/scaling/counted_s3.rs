//! Stands before the S3 server and counts what comes by.

use crate::s3_server::S3Server;
use axum::Router;
use axum::body::to_bytes;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use reqwest::Client;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// Requests by method and kind of object, and the bytes of all bodies.
#[derive(Default, Clone)]
pub(crate) struct Counts {
    pub(crate) requests: BTreeMap<String, u64>,
    pub(crate) sent: u64,
    pub(crate) received: u64,
}

pub(crate) struct CountedS3 {
    pub(crate) server: S3Server,
    /// Where it is counted.
    pub(crate) endpoint: String,
    counts: Arc<Mutex<Counts>>,
}

#[derive(Clone)]
struct Counter {
    server: String,
    http: Client,
    counts: Arc<Mutex<Counts>>,
}

impl CountedS3 {
    pub(crate) async fn start() -> Self {
        let server = S3Server::start().await;
        let counts = Arc::<Mutex<Counts>>::default();
        let counter = Counter {
            server: server.endpoint.clone(),
            http: Client::builder().no_proxy().build().unwrap(),
            counts: Arc::clone(&counts),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let router = Router::new().fallback(pass).with_state(counter);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self {
            server,
            endpoint,
            counts,
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        self.counts.lock().unwrap().clone()
    }
}

/// The headers stay as they are, `Host` too: they are signed.
async fn pass(State(counter): State<Counter>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let sent = to_bytes(body, usize::MAX).await.unwrap();
    let target = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let passed = counter
        .http
        .request(parts.method.clone(), format!("{}{target}", counter.server))
        .headers(parts.headers)
        .body(sent.clone())
        .send()
        .await;
    let Ok(answer) = passed else {
        return StatusCode::BAD_GATEWAY.into_response();
    };
    let (status, mut headers) = (answer.status(), answer.headers().clone());
    headers.remove(header::TRANSFER_ENCODING);
    headers.remove(header::CONNECTION);
    let received = answer.bytes().await.unwrap_or_default();
    // The bucket comes first, then what the object is.
    let folder = parts.uri.path().split('/').nth(2).unwrap_or_default();
    // What asks for the time of the store has a number of its own.
    let kind = folder.split('-').next().unwrap_or_default();
    let mut counts = counter.counts.lock().unwrap();
    let name = format!("{} {kind}", parts.method);
    *counts.requests.entry(name).or_default() += 1;
    counts.sent += sent.len() as u64;
    counts.received += received.len() as u64;
    drop(counts);
    (status, headers, received).into_response()
}
