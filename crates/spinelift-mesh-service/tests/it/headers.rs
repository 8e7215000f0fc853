//! Headers of answers: what caches, browsers and pages of other origins are told.

use crate::harness::{Answer, Origin, TestService};
use serde_json::json;
use spinelift_mesh_service::{ApiKeys, CorsOrigins};

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let value = answer.headers.get(name);
    value.map(|value| value.to_str().unwrap())
}

#[tokio::test]
async fn every_answer_tells_browsers_to_do_nothing_with_it() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/disc.png")).await;
    service.ended("j").await;
    for (method, path, status) in [
        ("GET", "/health", 200),
        ("GET", "/api/v1/mesh/j/status", 200),
        ("GET", "/api/v1/mesh/j/result", 200),
        ("GET", "/nothing", 404),
        ("DELETE", "/health", 405),
        ("POST", "/api/v1/mesh/generate", 400),
    ] {
        let answer = service.send(service.request(method, path)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
        ] {
            assert_eq!(header(&answer, name), Some(value), "{method} {path}");
        }
        let is_result = path.ends_with("/result");
        let cache = header(&answer, "cache-control");
        assert_eq!(cache == Some("no-store"), !is_result, "{method} {path}");
        assert_eq!(answer.headers.get_all("cache-control").iter().count(), 1);
        for name in ["access-control-allow-origin", "vary"] {
            assert_eq!(header(&answer, name), None, "{method} {path}");
        }
    }
}

#[tokio::test]
async fn a_result_that_a_client_has_is_not_sent_again() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/disc.png")).await;
    let finer = json!({
        "image_url": origin.url("/disc.png"),
        "parameters": { "detail_factor": 0.05 },
        "job_id": "k",
    });
    assert_eq!(service.generate(&finer).await.status, 202);
    service.ended("j").await;
    service.ended("k").await;
    let first = service.result("j").await;
    let tag = header(&first, "etag").unwrap();
    assert!(tag.starts_with('"') && tag.ends_with('"'), "{tag}");
    // Another job may have the name tomorrow: a cache has to ask.
    assert_eq!(header(&first, "cache-control"), Some("private, no-cache"));
    assert_eq!(header(&service.result("j").await, "etag"), Some(tag));
    let other = service.result("k").await;
    assert_ne!(other.body, first.body);
    assert!(header(&other, "etag").is_some_and(|other| other != tag));
    for (condition, status) in [
        (tag.to_owned(), 304),
        (format!("W/{tag}"), 304),
        (format!("\"x\", {tag}"), 304),
        ("*".to_owned(), 304),
        ("\"x\"".to_owned(), 200),
        (tag.trim_matches('"').to_owned(), 200),
    ] {
        let request = service.request("GET", "/api/v1/mesh/j/result");
        let answer = service
            .send(request.header("If-None-Match", &condition))
            .await;
        assert_eq!(answer.status, status, "{condition}");
        assert_eq!(answer.body.is_null(), status == 304, "{condition}");
        assert_eq!(header(&answer, "etag"), Some(tag), "{condition}");
    }
}

async fn from_page(service: &TestService, method: &str, path: &str, origin: &str) -> Answer {
    let request = service.request(method, path).header("Origin", origin);
    service.send(request).await
}

#[tokio::test]
async fn pages_of_named_origins_may_use_the_api() {
    let service = TestService::start_with(|settings| {
        settings.cors_origins = CorsOrigins::parse("https://editor.example").unwrap();
        settings.api_keys = ApiKeys::parse("a-key-for-the-page").unwrap();
    })
    .await;
    let page = "https://editor.example";
    // Preflights bring no key.
    let preflight = service
        .request("OPTIONS", "/api/v1/mesh/generate")
        .header("Origin", page)
        .header("Access-Control-Request-Method", "POST")
        .header(
            "Access-Control-Request-Headers",
            "authorization,content-type",
        );
    let answer = service.send(preflight).await;
    assert_eq!(answer.status, 200);
    assert_eq!(header(&answer, "access-control-allow-origin"), Some(page));
    assert_eq!(header(&answer, "x-content-type-options"), Some("nosniff"));
    let headers = header(&answer, "access-control-allow-headers").unwrap();
    for name in ["authorization", "content-type", "x-api-key", "x-request-id"] {
        assert!(headers.contains(name), "{headers}");
    }
    let methods = header(&answer, "access-control-allow-methods").unwrap();
    assert!(methods.contains("POST"), "{methods}");

    // Pages may read errors, too.
    let refused = from_page(&service, "GET", "/api/v1/mesh/j/status", page).await;
    assert_eq!(refused.status, 401);
    assert_eq!(header(&refused, "access-control-allow-origin"), Some(page));
    let exposed = header(&refused, "access-control-expose-headers").unwrap();
    for name in ["x-request-id", "retry-after", "location"] {
        assert!(exposed.contains(name), "{exposed}");
    }
    for other in ["https://evil.example", "http://editor.example", "null"] {
        let answer = from_page(&service, "GET", "/health", other).await;
        assert_eq!(answer.status, 200);
        assert_eq!(header(&answer, "access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn all_pages_may_if_so_set() {
    let service = TestService::start_with(|s| s.cors_origins = CorsOrigins::Any).await;
    let answer = from_page(&service, "GET", "/health", "https://any.example").await;
    assert_eq!(header(&answer, "access-control-allow-origin"), Some("*"));
}
