//! The least HTTP client that can talk to the service on this machine.

use axum::body::{Body, to_bytes};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Method, Request, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::error::Error;
use tokio::net::TcpStream;

/// More than any mesh.
const MAX_ANSWER: usize = 1 << 30;

type Failed = Box<dyn Error + Send + Sync>;

/// Sends JSON and reads JSON. An answer of an error status is an error with its text.
pub(super) async fn post(url: &str, body: &Value) -> Result<Value, Failed> {
    let answer = send(Method::POST, url, Body::from(body.to_string())).await?;
    Ok(serde_json::from_slice(&answer)?)
}

pub(super) async fn get(url: &str) -> Result<Vec<u8>, Failed> {
    send(Method::GET, url, Body::empty()).await
}

async fn send(method: Method, url: &str, body: Body) -> Result<Vec<u8>, Failed> {
    let url: Uri = url.parse()?;
    let authority = url.authority().ok_or("the URL has no host")?.clone();
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let stream = TcpStream::connect(authority.as_str()).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header(HOST, authority.as_str())
        .header(CONTENT_TYPE, "application/json")
        .body(body)?;
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let body = to_bytes(Body::new(answer.into_body()), MAX_ANSWER).await?;
    if status.is_success() {
        Ok(body.into())
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
    }
}
