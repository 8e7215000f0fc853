//! Connections: clients that only hold one do not keep the others out.

use crate::harness::TestService;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn connect(service: &TestService) -> TcpStream {
    let address = service.base.strip_prefix("http://").unwrap();
    TcpStream::connect(address).await.unwrap()
}

/// What is received until the connection is closed.
async fn rest(mut stream: TcpStream) -> String {
    let mut text = String::new();
    let read = stream.read_to_string(&mut text);
    tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("it is closed")
        .unwrap();
    text
}

#[tokio::test]
async fn a_client_that_says_nothing_is_cut_off() {
    let service = TestService::start_with(|s| s.idle_timeout = Duration::from_millis(100)).await;
    for said in ["", "GET /hea", "GET /health HTTP/1.1\r\nHost: a\r\n\r\n"] {
        let mut stream = connect(&service).await;
        stream.write_all(said.as_bytes()).await.unwrap();
        let text = rest(stream).await;
        assert_eq!(
            text.contains("healthy"),
            said.ends_with("\r\n\r\n"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn connections_are_bounded_and_others_wait_for_their_turn() {
    let service = TestService::start_with(|s| {
        s.max_connections = 3.try_into().unwrap();
        s.idle_timeout = Duration::from_millis(500);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..3 {
        silent.push(connect(&service).await);
    }
    let began = Instant::now();
    assert_eq!(service.get("/health").await.status, 200);
    assert!(began.elapsed() > Duration::from_millis(300), "it waited");
}

#[tokio::test]
async fn connections_are_kept_only_while_there_is_room() {
    let service = TestService::start_with(|s| s.max_connections = 4.try_into().unwrap()).await;
    let kept = service.get("/health").await;
    assert!(!kept.headers.contains_key("connection"));
    let mut others = Vec::new();
    for _ in 0..2 {
        others.push(connect(&service).await);
    }
    let mut last = connect(&service).await;
    let request = "GET /health HTTP/1.1\r\nHost: a\r\n\r\n";
    last.write_all(request.as_bytes()).await.unwrap();
    let text = rest(last).await;
    assert!(text.contains("connection: close"), "{text}");
}

#[tokio::test]
async fn a_head_has_a_bound() {
    let service = TestService::start().await;
    let mut stream = connect(&service).await;
    let head = format!("GET /health HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(100_000));
    // It is refused before all of it is sent, so the answer may be lost with the connection.
    let _ = stream.write_all(head.as_bytes()).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.contains("healthy"), "{answer}");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_connections_that_are_idle() {
    let service = TestService::start().await;
    let stream = connect(&service).await;
    assert_eq!(service.get("/health").await.status, 200);
    let began = Instant::now();
    service.stop().await;
    assert!(began.elapsed() < Duration::from_secs(5));
    drop(stream);
}
