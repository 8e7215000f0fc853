//! The least HTTP client that can talk to the service.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::header::{CONTENT_TYPE, HOST};
use axum::http::{Method, Request, StatusCode, Uri};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use std::error::Error;
use tokio::net::TcpStream;

/// More than any mesh.
const MAX_ANSWER: usize = 1 << 30;

pub(crate) type Failed = Box<dyn Error + Send + Sync>;

/// Sends JSON and reads JSON. An answer of an error status is an error with its text.
pub(crate) async fn post(url: &str, body: &Value) -> Result<Value, Failed> {
    let answer = send(Method::POST, url, Body::from(body.to_string()), MAX_ANSWER).await?;
    Ok(serde_json::from_slice(&succeeded(answer)?)?)
}

/// An answer of an error status is an error with its text.
pub(crate) async fn get(url: &str) -> Result<Bytes, Failed> {
    succeeded(send(Method::GET, url, Body::empty(), MAX_ANSWER).await?)
}

/// The answer, whatever its status. One of more than `limit` bytes is an error.
pub(crate) async fn ask(url: &str, limit: usize) -> Result<(StatusCode, Bytes), Failed> {
    send(Method::GET, url, Body::empty(), limit).await
}

fn succeeded((status, body): (StatusCode, Bytes)) -> Result<Bytes, Failed> {
    if status.is_success() {
        Ok(body)
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)).into())
    }
}

async fn send(
    method: Method,
    url: &str,
    body: Body,
    limit: usize,
) -> Result<(StatusCode, Bytes), Failed> {
    let url: Uri = url.parse()?;
    let authority = url.authority().ok_or("the URL has no host")?.clone();
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let address = match authority.port() {
        Some(_) => authority.as_str().to_owned(),
        None => format!("{}:80", authority.host()),
    };
    let stream = TcpStream::connect(address).await?;
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
    let body = to_bytes(Body::new(answer.into_body()), limit).await?;
    Ok((status, body))
}
