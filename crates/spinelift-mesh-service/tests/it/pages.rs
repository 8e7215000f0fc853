//! What web pages may have a visitor's browser do.

use crate::harness::{Answer, Origin, TestService};
use serde_json::json;
use spinelift_mesh_service::{ApiKeys, CorsOrigins};

async fn post(service: &TestService, headers: &[(&str, &str)]) -> Answer {
    let body = json!({ "image_url": "http://127.0.0.1:9/" }).to_string();
    let request = service.request("POST", "/api/v1/mesh/generate").body(body);
    let request = headers.iter().fold(request, |request, (name, value)| {
        request.header(*name, *value)
    });
    service.send(request).await
}

const FOREIGN: [&[(&str, &str)]; 3] = [
    &[
        ("content-type", "text/plain"),
        ("origin", "https://evil.example"),
    ],
    &[
        ("content-type", "multipart/form-data; boundary=b"),
        ("sec-fetch-site", "cross-site"),
    ],
    &[("sec-fetch-site", "same-site"), ("origin", "null")],
];

#[tokio::test]
async fn pages_of_others_are_refused_and_other_clients_are_not_concerned() {
    let service = TestService::start().await;
    for headers in FOREIGN {
        let answer = post(&service, headers).await;
        assert_eq!((answer.status, answer.code()), (403, "ORIGIN_NOT_ALLOWED"));
        assert!(answer.body.to_string().contains("CORS_ORIGINS"));
    }
    let origin = Origin::start().await;
    let cancel = service.request("POST", "/api/v1/mesh/j/cancel");
    service.accept("j", &origin.url("/hang.png")).await;
    let answer = service
        .send(cancel.header("origin", "https://evil.example"))
        .await;
    assert_eq!(answer.status, 403);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "a/b"] {
        assert_eq!(post(&service, &[("content-type", kind)]).await.status, 202);
    }
    let own = service.base.clone();
    assert_eq!(post(&service, &[("origin", &own)]).await.status, 202);
}

#[tokio::test]
async fn pages_that_are_named_and_pages_with_a_key_are_served() {
    let origins = CorsOrigins::parse("https://evil.example").unwrap();
    let service = TestService::start_with(|s| s.cors_origins = origins).await;
    assert_eq!(post(&service, FOREIGN[0]).await.status, 202);
    assert_eq!(post(&service, FOREIGN[1]).await.status, 403);
    let keys = "the-key-of-the-client";
    let service = TestService::start_with(|s| s.api_keys = ApiKeys::parse(keys).unwrap()).await;
    for headers in FOREIGN {
        assert_eq!(post(&service, headers).await.status, 401);
        let with_key = [headers, &[("x-api-key", keys), ("host", "evil.example")]].concat();
        assert_eq!(post(&service, &with_key).await.status, 202);
    }
}

#[tokio::test]
async fn a_name_that_is_made_to_lead_here_is_not_answered_to() {
    let service = TestService::start().await;
    for path in ["/api/v1/mesh", "/metrics", "/docs", "/openapi.json"] {
        let request = service
            .request("GET", path)
            .header("host", "evil.example:8000");
        let answer = service.send(request).await;
        assert_eq!(
            (answer.status, answer.code()),
            (421, "HOST_NOT_ALLOWED"),
            "{path}"
        );
        assert!(answer.body.to_string().contains("PUBLIC_URL"));
    }
    for (path, host) in [
        ("/api/v1/mesh", "localhost:8000"),
        ("/health", "evil.example"),
    ] {
        let request = service.request("GET", path).header("host", host);
        assert_eq!(service.send(request).await.status, 200, "{path}");
    }
}
