//! Connections: clients that only hold one do not keep the others out.

use crate::harness::{TestService, eventually};
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
    for said in [
        "",
        "GET /hea",
        "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ] {
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
    // Far more than have a place, and so they are asked to come back until the silent ones are gone.
    let presets = "/api/v1/presets";
    eventually("there is room again", || async {
        let answer = service.get(presets).await;
        match answer.status {
            200 => Some(()),
            _ => {
                assert_eq!(answer.code(), "TOO_MANY_CONNECTIONS");
                assert!(answer.headers.contains_key("retry-after"));
                None
            }
        }
    })
    .await;
}

#[tokio::test]
async fn health_checks_are_answered_when_no_connection_is_left() {
    let service = TestService::start_with(|s| {
        s.max_connections = 4.try_into().unwrap();
        s.body_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut slow = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(&service).await;
        let head = "POST /api/v1/mesh/generate HTTP/1.1\r\nHost: localhost\r\n\
                    Expect: 100-continue\r\nContent-Length: 9\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // It is being served.
        let mut said = [0; 12];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"HTTP/1.1 100");
        slow.push(stream);
    }
    // Others that say nothing hold the reserve for a moment only.
    for _ in 0..40 {
        slow.push(connect(&service).await);
    }
    for path in ["/health", "/health/live", "/health/ready"] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
        let answer = service.get("/metrics").await;
        assert_eq!(
            (answer.status, answer.code()),
            (503, "TOO_MANY_CONNECTIONS")
        );
    }
    drop(slow);
    eventually("there is room again", || async {
        (service.get("/metrics").await.status == 200).then_some(())
    })
    .await;
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
    let request = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
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

/// Whether a new client is served, and before the silent ones would be given up otherwise.
async fn assert_served(service: &TestService) {
    let served = tokio::time::timeout(Duration::from_secs(60), service.get("/health")).await;
    assert_eq!(served.expect("it gets a turn").status, 200);
}

#[tokio::test]
async fn half_open_connections_delay_others_briefly_only() {
    let service = TestService::start_with(|s| {
        s.max_connections = 4.try_into().unwrap();
        s.idle_timeout = Duration::from_secs(3600);
    })
    .await;
    let mut silent = Vec::new();
    for _ in 0..4 {
        let mut stream = connect(&service).await;
        stream.write_all(b"GET /health HTT").await.unwrap();
        silent.push(stream);
    }
    assert_served(&service).await;
}

#[tokio::test]
async fn a_client_that_never_reads_gives_its_place_up() {
    let service = TestService::start_with(|s| {
        s.max_connections = 1.try_into().unwrap();
        s.idle_timeout = Duration::from_secs(3600);
        s.write_timeout = Duration::from_millis(100);
    })
    .await;
    let mut stream = connect(&service).await;
    // Until the connection is closed, more and more answers wait to be read.
    let flood = tokio::spawn(async move {
        let requests = "GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(1000);
        while stream.write_all(requests.as_bytes()).await.is_ok() {}
    });
    let flood = tokio::time::timeout(Duration::from_secs(60), flood).await;
    flood.expect("it is closed").unwrap();
    assert_served(&service).await;
}

#[tokio::test]
async fn a_body_that_stops_arriving_is_not_waited_for() {
    let service = TestService::start_with(|s| s.body_timeout = Duration::from_millis(100)).await;
    for head in [
        "Content-Length: 100\r\n\r\n{",
        "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n",
        "Content-Length: 100\r\n\r\n",
    ] {
        let mut stream = connect(&service).await;
        let request = format!("POST /api/v1/mesh/generate HTTP/1.1\r\nHost: localhost\r\n{head}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let text = rest(stream).await;
        assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
        assert!(text.contains("\"BODY_TIMEOUT\""), "{text}");
    }
}

/// Sends bytes as they are, and returns what comes until the connection is closed.
async fn answer(service: &TestService, request: &[u8]) -> String {
    let mut stream = connect(service).await;
    // It may be refused before all of it is sent.
    let _ = stream.write_all(request).await;
    let mut bytes = Vec::new();
    let read = stream.read_to_end(&mut bytes);
    // With data that was not read the connection is reset, not ended.
    let _ = tokio::time::timeout(Duration::from_secs(10), read)
        .await
        .expect("it is closed");
    String::from_utf8(bytes).unwrap()
}

#[tokio::test]
async fn requests_that_two_servers_could_read_in_two_ways_are_refused() {
    let service = TestService::start().await;
    let post = "POST /api/v1/mesh/generate HTTP/1.1\r\nHost: localhost\r\n";
    for rest in [
        "Content-Length: 5\r\nContent-Length: 6\r\n\r\n{}    ",
        "Content-Length: 5, 6\r\n\r\n{}    ",
        "Content-Length: +2\r\n\r\n{}",
        "Content-Length: -1\r\n\r\n{}",
        "Transfer-Encoding: identity\r\n\r\n{}",
        "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
        "Content-Length : 2\r\n\r\n{}",
        " Content-Length: 2\r\n\r\n{}",
        "X: a\r\n folded\r\nContent-Length: 2\r\n\r\n{}",
        "X: a\0b\r\nContent-Length: 2\r\n\r\n{}",
        "X: a\rb\r\nContent-Length: 2\r\n\r\n{}",
        "X\0: a\r\n\r\n",
    ] {
        let text = answer(&service, format!("{post}{rest}").as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{rest:?}: {text}");
        assert_eq!(text.matches("HTTP/1.1 ").count(), 1, "{rest:?}: {text}");
    }
}

#[tokio::test]
async fn nothing_is_smuggled_behind_a_body_with_two_lengths() {
    let service = TestService::start().await;
    let hidden = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = format!("Content-Length: {}\r\n", hidden.len() + 5);
    let chunked = "Transfer-Encoding: chunked\r\n";
    for lengths in [format!("{length}{chunked}"), format!("{chunked}{length}")] {
        let head = "POST /api/v1/mesh/generate HTTP/1.1\r\nHost: localhost\r\n";
        let request = format!("{head}{lengths}\r\n0\r\n\r\n{hidden}");
        let text = answer(&service, request.as_bytes()).await;
        assert!(text.starts_with("HTTP/1.1 400 "), "{text}");
        assert!(!text.contains("healthy"), "{text}");
    }
}

#[tokio::test]
async fn odd_targets_are_answered() {
    let service = TestService::start().await;
    let long = format!("/{}", "x".repeat(60_000));
    for (method, target, status) in [
        // As clients of proxies write it; RFC 9112 has servers accept it.
        ("GET", "http://other.example/health", 200),
        ("GET", "http://other.example/", 404),
        ("OPTIONS", "*", 404),
        ("GET", "*", 404),
        ("CONNECT", "a.example:443", 404),
        ("GET", "health", 404),
        ("GET", "/../health", 404),
        ("GET", "/health/../api/v1/mesh/j/status", 404),
        ("GET", "//health", 404),
        ("GET", "/%00", 404),
        ("GET", "/\u{e9}", 404),
        ("GET", "/a b", 400),
        ("GET", &long, 404),
        ("BREW", "/health", 405),
    ] {
        let request =
            format!("{method} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        let text = answer(&service, request.as_bytes()).await;
        let expected = format!("HTTP/1.1 {status} ");
        assert!(text.starts_with(&expected), "{method} {target:.40}: {text}");
    }
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let service = TestService::start().await;
    let long = "x".repeat(65 * 1024);
    for (request, statuses) in [
        (
            format!("GET /{long} HTTP/1.1\r\nHost: localhost\r\n\r\n"),
            [414, 431],
        ),
        (
            format!("GET /health HTTP/1.1\r\nX: {long}\r\n\r\n"),
            [431, 431],
        ),
        (
            format!("GET /health HTTP/1.1\r\n{}\r\n", "X: a\r\n".repeat(200)),
            [431, 431],
        ),
    ] {
        let mut stream = connect(&service).await;
        let _ = stream.write_all(request.as_bytes()).await;
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes).await;
        let text = String::from_utf8(bytes).unwrap();
        let refused = statuses.map(|status| format!("HTTP/1.1 {status} "));
        // The answer may be lost with a connection that is closed before all is read.
        let fits = text.is_empty() || refused.iter().any(|line| text.starts_with(line));
        assert!(fits, "{text}");
    }
}
