//! What is logged of requests, and what is not.

use crate::harness::{Log, Origin, TestService, eventually};
use serde_json::{Value, json};
use spinelift_mesh_service::ApiKeys;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

/// Sends a request under an id; returns its line once it is over, and all others.
async fn lines(log: &Log, id: &str) -> (Value, Vec<Value>) {
    eventually(&format!("{id} is logged"), || async {
        let lines = log.of_request(id);
        let over = |line: &Value| line["fields"].get("milliseconds").is_some();
        let (over, others): (Vec<_>, Vec<_>) = lines.into_iter().partition(over);
        assert!(over.len() < 2, "{over:?}");
        over.into_iter().next().map(|line| (line, others))
    })
    .await
}

#[tokio::test]
async fn every_line_of_a_request_has_its_id() {
    let log = Log::keep();
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "logged" }).to_string();
    let request = service
        .request("POST", "/api/v1/mesh/generate")
        .header("X-Request-ID", "log-1");
    let answer = service.send(request.body(body)).await;
    let (over, others) = lines(&log, "log-1").await;
    assert_eq!(over["level"], "INFO");
    assert_eq!(over["span"]["method"], "POST");
    assert_eq!(over["span"]["path"], "/api/v1/mesh/generate");
    assert_eq!(over["fields"]["status"], 202);
    assert_eq!(over["fields"]["client"], "127.0.0.1");
    let length = answer.headers["content-length"].to_str().unwrap();
    assert_eq!(over["fields"]["bytes"].to_string(), length);
    assert!(over["fields"]["milliseconds"].is_u64());
    let accepted = others
        .iter()
        .find(|line| line["fields"]["message"] == "job accepted");
    assert_eq!(accepted.unwrap()["fields"]["job_id"], "logged");
}

#[tokio::test]
async fn health_checks_are_logged_for_debugging_only() {
    let log = Log::keep();
    let service = TestService::start().await;
    for (path, id, level) in [("/health", "log-2", "DEBUG"), ("/nothing", "log-3", "INFO")] {
        let request = service.request("GET", path).header("X-Request-ID", id);
        service.send(request).await;
        let (over, _) = lines(&log, id).await;
        assert_eq!(over["level"], level, "{path}");
    }
}

#[tokio::test]
async fn neither_keys_nor_signatures_are_logged() {
    let log = Log::keep();
    let service = TestService::start_with(|settings| {
        settings.api_keys = ApiKeys::parse("logged:key-not-to-be-logged").unwrap();
    })
    .await;
    let path = "/api/v1/mesh/j/result?expires=1&signature=signature-not-to-be-logged";
    let request = service.request("GET", path).header("X-Request-ID", "log-4");
    assert_eq!(service.send(request).await.status, 403);
    let request = service.request("GET", path).header("X-Request-ID", "log-5");
    let request = request.bearer_auth("key-not-to-be-logged");
    assert_eq!(service.send(request).await.status, 404);

    let (refused, _) = lines(&log, "log-4").await;
    assert_eq!(refused["fields"]["status"], 403);
    let (answered, _) = lines(&log, "log-5").await;
    let client = answered["fields"]["client"].as_str().unwrap();
    assert!(client.starts_with("logged#"), "{client}");
    assert!(!log.text().contains("not-to-be-logged"));
}

#[tokio::test]
async fn a_request_that_breaks_off_is_logged() {
    let log = Log::keep();
    let service = TestService::start().await;
    let mut stream = TcpStream::connect(service.base.strip_prefix("http://").unwrap())
        .await
        .unwrap();
    let head = "POST /api/v1/mesh/generate HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: log-6\r\n\
                Content-Length: 10\r\n\r\n{";
    stream.write_all(head.as_bytes()).await.unwrap();
    drop(stream);
    let (over, _) = lines(&log, "log-6").await;
    assert_eq!(over["fields"]["status"], 400);
}

#[tokio::test]
async fn behind_a_trusted_proxy_the_client_is_whom_it_forwards_for() {
    let log = Log::keep();
    for (proxies, id, expected) in [
        (vec![], "log-7", "127.0.0.1"),
        (
            vec!["127.0.0.1/32".parse().unwrap()],
            "log-8",
            "198.51.100.1",
        ),
    ] {
        let service = TestService::start_with(|s| s.trusted_proxies = proxies).await;
        let request = service
            .request("GET", "/nothing")
            .header("X-Request-ID", id)
            .header("X-Forwarded-For", "1.2.3.4, 198.51.100.1");
        service.send(request).await;
        let (over, _) = lines(&log, id).await;
        assert_eq!(over["fields"]["client"], expected);
    }
}

#[tokio::test]
async fn an_id_that_is_not_fit_for_a_log_is_replaced() {
    let service = TestService::start().await;
    for bad in ["a b".to_owned(), "x".repeat(129), String::new()] {
        let request = service.request("GET", "/health");
        let answer = service.send(request.header("X-Request-ID", &bad)).await;
        let id = answer.headers["x-request-id"].to_str().unwrap();
        assert!(id.len() == 36 && id != bad, "{id}");
    }
}
