//! Authentication: who is let in, who is turned away, and how.

use crate::harness::{Answer, Origin, TestService, eventually};
use serde_json::json;
use spinelift_mesh_service::{ApiKeys, Secret, Settings};
use std::time::Duration;

const KEY: &str = "a-key-for-rails-app";
const OTHER: &str = "a-key-of-another-app";

fn with_keys(settings: &mut Settings) {
    settings.api_keys = ApiKeys::parse(&format!("rails:{KEY},{OTHER}")).unwrap();
}

async fn service_with_keys() -> TestService {
    TestService::start_with(with_keys).await
}

async fn get_with_key(service: &TestService, path: &str) -> Answer {
    let request = service.request("GET", path).bearer_auth(KEY);
    service.send(request).await
}

/// Has a job done and returns the URL of its result, without the base.
async fn result_path(service: &TestService, origin: &Origin) -> String {
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" });
    let request = service.request("POST", "/api/v1/mesh/generate");
    let request = request.bearer_auth(KEY).body(body.to_string());
    assert_eq!(service.send(request).await.status, 202);
    eventually("the job completes", || status_path(service)).await
}

/// The URL of the result that the status has, if it has one, without the base.
async fn status_path(service: &TestService) -> Option<String> {
    let body = get_with_key(service, "/api/v1/mesh/j/status").await.body;
    let url = body["result_url"].as_str()?;
    Some(url.strip_prefix(&service.base).unwrap().to_owned())
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

#[tokio::test]
async fn a_signed_result_url_needs_no_key() {
    let (service, origin) = (service_with_keys().await, Origin::start().await);
    let path = result_path(&service, &origin).await;
    let bare = "/api/v1/mesh/j/result";
    assert!(path.starts_with(&format!("{bare}?expires=")), "{path}");
    let answer = service.get(&path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["metadata"]["width"], 32);
    let head = service.send(service.request("HEAD", &path)).await;
    assert_eq!(head.status, 200);
    // It is good for this and nothing else.
    let (_, query) = path.split_once('?').unwrap();
    for (method, path, status) in [
        ("GET", bare.to_owned(), 401),
        ("GET", format!("/api/v1/mesh/j/status?{query}"), 401),
        ("POST", format!("{bare}?{query}"), 401),
        ("GET", format!("/api/v1/mesh/k/result?{query}"), 403),
    ] {
        let answer = service.send(service.request(method, &path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
    }
    // Nor is it needed, or looked at, with a key.
    for path in [bare.to_owned(), format!("{path}0")] {
        assert_eq!(get_with_key(&service, &path).await.status, 200);
    }
}

async fn send_with_key(service: &TestService, method: &str, path: &str, body: String) -> u16 {
    let request = service.request(method, path).bearer_auth(KEY).body(body);
    service.send(request).await.status
}

#[tokio::test]
async fn a_signed_url_is_not_good_for_the_next_job_of_the_name() {
    let (service, origin) = (service_with_keys().await, Origin::start().await);
    let old = result_path(&service, &origin).await;
    let deleted = send_with_key(&service, "DELETE", "/api/v1/mesh/j", String::new()).await;
    assert_eq!(deleted, 204);
    assert_eq!(service.get(&old).await.status, 403, "there is none");
    let new = result_path(&service, &origin).await;
    assert_eq!(service.get(&old).await.code(), "URL_SIGNATURE_INVALID");
    assert_eq!(service.get(&new).await.status, 200);
}

#[tokio::test]
async fn the_signed_url_of_a_batch_leads_to_none_that_lasts_longer() {
    let (service, origin) = (service_with_keys().await, Origin::start().await);
    let body = json!({ "batch_id": "j", "images": [{ "image_url": origin.url("/disc.png") }] });
    let accepted = send_with_key(&service, "POST", "/api/v1/mesh/batch", body.to_string());
    assert_eq!(accepted.await, 202);
    let path = eventually("the batch completes", || status_path(&service)).await;
    let expires = |url: &str| {
        let (_, query) = url.split_once("?expires=").unwrap();
        query.split_once('&').unwrap().0.to_owned()
    };
    eventually("a URL that is made now lasts longer", || async {
        let new = status_path(&service).await?;
        (expires(&new) != expires(&path)).then_some(())
    })
    .await;
    let results = service.get(&path).await;
    assert_eq!(results.status, 200, "{results:?}");
    let url = results.body[0]["result_url"].as_str().unwrap();
    assert_eq!(expires(url), expires(&path));
    let mesh = service.get(url.strip_prefix(&service.base).unwrap()).await;
    assert_eq!(mesh.status, 200);
    let with_key = get_with_key(&service, "/api/v1/mesh/j/result").await;
    let url = with_key.body[0]["result_url"].as_str().unwrap();
    assert_ne!(expires(url), expires(&path));
}

#[tokio::test]
async fn an_altered_signature_is_told_with_what_to_do() {
    let (service, origin) = (service_with_keys().await, Origin::start().await);
    let path = result_path(&service, &origin).await;
    for altered in [
        path.replace("expires=1", "expires=2"),
        format!("{path}0"),
        "/api/v1/mesh/j/result?signature=".to_owned(),
    ] {
        let answer = service.get(&altered).await;
        assert_eq!(
            (answer.status, answer.code()),
            (403, "URL_SIGNATURE_INVALID"),
            "{altered}"
        );
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("status"), "{message}");
    }
}

#[tokio::test]
async fn a_url_expires_and_the_status_has_a_new_one() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|settings| {
        with_keys(settings);
        settings.result_url_ttl = Duration::from_secs(1);
    })
    .await;
    let path = result_path(&service, &origin).await;
    let expired = eventually("it expires", || async {
        let answer = service.get(&path).await;
        (answer.status != 200).then_some(answer)
    })
    .await;
    assert_eq!((expired.status, expired.code()), (403, "URL_EXPIRED"));
    let new = status_path(&service).await.unwrap();
    assert_ne!(new, path);
}

#[tokio::test]
async fn urls_outlive_a_restart_if_their_key_does() {
    let origin = Origin::start().await;
    let with = |secret: Option<&str>| {
        let secret = secret.map(Secret::new);
        move |settings: &mut Settings| {
            with_keys(settings);
            settings.url_signing_key = secret;
        }
    };
    let service = TestService::start_with(with(Some("first"))).await;
    let path = result_path(&service, &origin).await;
    let mut directory = service.stop().await;
    for (secret, status) in [(Some("first"), 200), (Some("second"), 403), (None, 403)] {
        let service = TestService::start_in(directory, with(secret)).await;
        assert_eq!(service.get(&path).await.status, status, "{secret:?}");
        directory = service.stop().await;
    }
}

#[tokio::test]
async fn the_urls_in_callbacks_are_signed_too() {
    let (service, origin) = (service_with_keys().await, Origin::start().await);
    let body = json!({
        "image_url": origin.url("/disc.png"),
        "callback_url": origin.url("/callback"),
        "job_id": "j",
    });
    let request = service.request("POST", "/api/v1/mesh/generate");
    let request = request.bearer_auth(KEY).body(body.to_string());
    assert_eq!(service.send(request).await.status, 202);
    let events = origin.events("j").await;
    let url = events.last().unwrap()["result_url"].as_str().unwrap();
    let path = url.strip_prefix(&service.base).unwrap();
    assert_eq!(service.get(path).await.status, 200);
}
