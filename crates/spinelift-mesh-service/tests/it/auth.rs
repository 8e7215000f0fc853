//! Authentication: who is let in, who is turned away, and how.

use crate::harness::{Origin, TestService};
use serde_json::json;
use spinelift_mesh_service::ApiKeys;

const KEY: &str = "a-key-for-rails-app";
const OTHER: &str = "a-key-of-another-app";

async fn service_with_keys() -> TestService {
    TestService::start_with(|settings| {
        settings.api_keys = ApiKeys::parse(&format!("rails:{KEY},{OTHER}")).unwrap();
    })
    .await
}

#[tokio::test]
async fn without_a_key_nothing_is_told_but_how_to_send_one() {
    let service = service_with_keys().await;
    for (method, path) in [
        ("POST", "/api/v1/mesh/generate"),
        ("GET", "/api/v1/mesh/j/status"),
        ("GET", "/api/v1/mesh/j/result"),
        ("DELETE", "/api/v1/mesh/j/status"),
        ("GET", "/nothing/here"),
        ("GET", "/healthy"),
        ("GET", "//health"),
    ] {
        let answer = service.send(service.request(method, path)).await;
        assert_eq!(
            (answer.status, answer.code()),
            (401, "UNAUTHORIZED"),
            "{method} {path}"
        );
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("no API key") && message.contains("X-API-Key: KEY"),
            "{message}"
        );
    }
}

#[tokio::test]
async fn health_checks_need_no_key() {
    let service = service_with_keys().await;
    assert_eq!(service.get("/health").await.status, 200);
    // Not there, and not forbidden.
    assert_eq!(service.get("/health/nothing").await.status, 404);
}

#[tokio::test]
async fn every_key_is_good_in_both_headers() {
    let service = service_with_keys().await;
    for key in [KEY, OTHER] {
        for (name, value) in [
            ("Authorization", format!("Bearer {key}")),
            ("authorization", format!("bearer  {key}")),
            ("X-API-Key", key.to_owned()),
        ] {
            let request = service.request("GET", "/api/v1/mesh/j/status");
            let answer = service.send(request.header(name, &value)).await;
            assert_eq!(answer.code(), "JOB_NOT_FOUND", "{name}: {value}");
        }
    }
    // `Authorization` may be somebody else's.
    let request = service.request("GET", "/api/v1/mesh/j/status");
    let request = request
        .header("Authorization", "Basic cmFpbHM6cGFzcw==")
        .header("X-API-Key", KEY);
    assert_eq!(service.send(request).await.code(), "JOB_NOT_FOUND");
}

#[tokio::test]
async fn a_wrong_key_is_told_from_none() {
    let service = service_with_keys().await;
    for (name, value) in [
        ("Authorization", "Bearer a-key-for-rails-ap".to_owned()),
        ("Authorization", format!("Bearer {KEY}x")),
        ("Authorization", format!("Bearer rails:{KEY}")),
        ("Authorization", "Bearer ".to_owned()),
        ("X-API-Key", "x".repeat(10_000)),
        ("X-API-Key", format!("{KEY},{OTHER}")),
    ] {
        let request = service.request("GET", "/api/v1/mesh/j/status");
        let answer = service.send(request.header(name, &value)).await;
        assert_eq!((answer.status, answer.code()), (401, "UNAUTHORIZED"));
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("not one that"), "{message}");
        assert!(!message.contains(KEY), "{message}");
    }
}

#[tokio::test]
async fn a_body_is_not_read_for_strangers() {
    let service = service_with_keys().await;
    let request = service.request("POST", "/api/v1/mesh/generate");
    let answer = service.send(request.body("{")).await;
    assert_eq!(answer.code(), "UNAUTHORIZED");
    let request = service.request("POST", "/api/v1/mesh/generate");
    let request = request.bearer_auth(KEY).body("{");
    assert_eq!(service.send(request).await.code(), "INVALID_JSON");
}

#[tokio::test]
async fn without_keys_everybody_is_let_in() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" });
    let request = service.request("POST", "/api/v1/mesh/generate");
    let request = request.bearer_auth("of-no-meaning").body(body.to_string());
    assert_eq!(service.send(request).await.status, 202);
    assert_eq!(service.ended("j").await["status"], "completed");
}
