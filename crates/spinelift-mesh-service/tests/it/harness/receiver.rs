//! A receiver of callbacks that answers as a test wants, and keeps all that it got.

use super::eventually;
use axum::body::Bytes;
use axum::extract::Request;
use axum::http::HeaderMap;
use axum::response::Response;
use serde_json::Value;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::net::TcpListener;

/// A server on a port of its own.
pub(crate) struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

/// A callback.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) event: Value,
    /// How often it has come under its id, this time included.
    pub(crate) attempt: usize,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }

    pub(crate) fn id(&self) -> &str {
        self.header("webhook-id")
    }

    /// Whether it tells the end of a job or batch.
    pub(crate) fn is_end(&self) -> bool {
        self.event.get("status").is_some()
    }
}

impl Receiver {
    /// Starts one that answers ends as `answer` says, and takes all progress.
    pub(crate) async fn start<F>(
        answer: impl Fn(Received) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        Self::start_at("127.0.0.1:0".parse().unwrap(), move |received| {
            let end = received.is_end().then(|| answer(received));
            async {
                match end {
                    Some(answer) => answer.await,
                    None => Response::default(),
                }
            }
        })
        .await
    }

    /// Starts one that answers everything as `answer` says.
    pub(crate) async fn start_at<F>(
        address: SocketAddr,
        answer: impl Fn(Received) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let all = Arc::clone(&received);
        let take = move |request: Request| {
            let (all, answer) = (Arc::clone(&all), answer.clone());
            async move {
                let (parts, body) = request.into_parts();
                let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
                let mut one = Received {
                    event: serde_json::from_slice(&body).unwrap(),
                    headers: parts.headers,
                    body,
                    attempt: 1,
                };
                {
                    let mut all = all.lock().unwrap();
                    one.attempt += all.iter().filter(|other| other.id() == one.id()).count();
                    all.push(one.clone());
                }
                answer(one).await
            }
        };
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = axum::Router::new().fallback(take);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, received }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/callback", self.address)
    }

    /// All callbacks so far, in the order in which they came.
    pub(crate) fn received(&self) -> Vec<Received> {
        self.received.lock().unwrap().clone()
    }

    /// The ends so far.
    pub(crate) fn ends(&self) -> Vec<Received> {
        let mut all = self.received();
        all.retain(Received::is_end);
        all
    }

    /// Waits for so many ends.
    pub(crate) async fn told(&self, count: usize) -> Vec<Received> {
        eventually(&format!("{count} ends are told"), || async {
            let ends = self.ends();
            (ends.len() >= count).then_some(ends)
        })
        .await
    }
}
