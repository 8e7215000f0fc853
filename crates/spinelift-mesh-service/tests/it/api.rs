//! The contract, to the letter.

use crate::harness::{Origin, TestService};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

fn keys(value: &Value) -> Vec<&str> {
    let mut keys: Vec<_> = value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    keys.sort_unstable();
    keys
}

/// Every error has this shape.
fn assert_error(body: &Value, code: &str) {
    assert_eq!(keys(body), ["error"], "{body}");
    assert_eq!(
        keys(&body["error"]),
        ["code", "details", "message"],
        "{body}"
    );
    assert_eq!(body["error"]["code"], code, "{body}");
    assert!(body["error"]["details"].is_object(), "{body}");
}

#[tokio::test]
async fn health_says_version_and_time() {
    let service = TestService::start().await;
    let answer = service.get("/health").await;
    assert_eq!(answer.status, 200);
    assert_eq!(keys(&answer.body), ["status", "timestamp", "version"]);
    assert_eq!(answer.body["status"], "healthy");
    assert_eq!(answer.body["version"], "1.0.0");
    let time = answer.body["timestamp"].as_str().unwrap();
    // 2025-01-08T10:00:00Z
    let shape: String = time
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    assert_eq!(shape, "0000-00-00T00:00:00Z");
}

#[tokio::test]
async fn a_job_goes_from_request_to_result() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let accepted = service
        .generate(&json!({
            "image_url": origin.url("/disc.png"),
            "parameters": {
                "detail_factor": 0.01, "alpha_threshold": 10, "concave_factor": 0.0,
                "internal_vertex_density": 0, "blur_kernel_size": 1, "binary_threshold": 128,
                "min_contour_area": 10, "density_scaling_factor": 1000.0, "min_triangle_area": 1.0
            },
            "job_id": "unique-job-identifier",
        }))
        .await;
    assert_eq!(accepted.status, 202);
    assert_eq!(keys(&accepted.body), ["estimated_time", "job_id", "status"]);
    assert_eq!(accepted.body["job_id"], "unique-job-identifier");
    assert_eq!(accepted.body["status"], "processing");
    assert!(accepted.body["estimated_time"].is_u64());

    let ended = service.ended("unique-job-identifier").await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(ended["progress"], 100);
    assert_eq!(ended["message"], "Mesh generation complete");
    let url = format!("{}/api/v1/mesh/unique-job-identifier/result", service.base);
    assert_eq!(ended["result_url"], url);
    assert!(ended.get("error").is_none());

    let response = reqwest::get(&url).await.unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let mesh: Value = serde_json::from_slice(&response.bytes().await.unwrap()).unwrap();
    assert_eq!(
        keys(&mesh),
        [
            "boundary_edges",
            "boundary_indices",
            "internal_edges",
            "metadata",
            "triangles",
            "uvs",
            "vertices"
        ]
    );
    let vertices = mesh["vertices"].as_array().unwrap().len();
    assert!(vertices >= 3);
    assert_eq!(mesh["uvs"].as_array().unwrap().len(), 2 * vertices);
    assert_eq!(mesh["metadata"]["width"], 32);
    assert_eq!(mesh["metadata"]["height"], 32);
    assert_eq!(mesh["metadata"]["vertex_count"], vertices);
    let triangles = mesh["triangles"].as_array().unwrap();
    assert_eq!(mesh["metadata"]["triangle_count"], triangles.len());
    assert!(
        triangles
            .iter()
            .all(|triangle| triangle.as_array().unwrap().len() == 3)
    );
}

#[tokio::test]
async fn a_job_that_waits_or_runs_is_processing_and_has_no_result() {
    let origin = Origin::start().await;
    let service =
        TestService::start_with(|s| s.max_concurrent_downloads = 1.try_into().unwrap()).await;
    service.accept("first", &origin.url("/gated.png")).await;
    service.running("first").await;
    service.accept("second", &origin.url("/disc.png")).await;

    let running = service.status("first").await.body;
    assert_eq!(running["status"], "processing");
    assert_eq!(running["progress"], 10);
    assert_eq!(running["message"], "Loading image...");
    let waiting = service.status("second").await.body;
    assert_eq!(waiting["status"], "processing");
    assert_eq!(waiting["progress"], 0);
    assert_eq!(waiting["message"], "Queued");
    for body in [&running, &waiting] {
        assert!(body.get("result_url").is_none() && body.get("error").is_none());
    }
    let refused = service.result("second").await;
    assert_eq!(refused.status, 409);
    assert_error(&refused.body, "JOB_NOT_COMPLETED");
    assert_eq!(refused.body["error"]["details"]["status"], "processing");

    origin.open_gate();
    assert_eq!(service.ended("second").await["status"], "completed");
}

#[tokio::test]
async fn a_failed_job_says_why() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("clear", &origin.url("/clear.png")).await;
    let ended = service.ended("clear").await;
    assert_eq!(ended["status"], "failed");
    assert_eq!(ended["progress"], 40);
    assert_eq!(keys(&ended["error"]), ["code", "details", "message"]);
    assert_eq!(ended["error"]["code"], "CONTOUR_EXTRACTION_FAILED");
    assert!(ended.get("result_url").is_none());
    let refused = service.result("clear").await;
    assert_eq!(refused.status, 409);
    assert_eq!(refused.body["error"]["details"]["status"], "failed");
}

#[tokio::test]
async fn errors_of_every_origin_have_the_contracts_shape() {
    let service = TestService::start_with(|s| s.max_request_size = 1000.try_into().unwrap()).await;
    let cases = [
        ("GET", "/nothing/here", String::new(), 404, "NOT_FOUND"),
        (
            "GET",
            "/api/v1/mesh/unknown/status",
            String::new(),
            404,
            "JOB_NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/mesh/unknown/result",
            String::new(),
            404,
            "JOB_NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/mesh/%2e%2e%2fx/result",
            String::new(),
            404,
            "JOB_NOT_FOUND",
        ),
        (
            "GET",
            "/api/v1/mesh/%ff/status",
            String::new(),
            400,
            "BAD_REQUEST",
        ),
        (
            "GET",
            "/api/v1/mesh/generate",
            String::new(),
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (
            "DELETE",
            "/health",
            String::new(),
            405,
            "METHOD_NOT_ALLOWED",
        ),
        (
            "POST",
            "/api/v1/mesh/generate",
            "{".into(),
            400,
            "INVALID_JSON",
        ),
        (
            "POST",
            "/api/v1/mesh/generate",
            String::new(),
            400,
            "INVALID_JSON",
        ),
        (
            "POST",
            "/api/v1/mesh/generate",
            "[]".into(),
            422,
            "VALIDATION_ERROR",
        ),
        (
            "POST",
            "/api/v1/mesh/generate",
            "x".repeat(1001),
            413,
            "PAYLOAD_TOO_LARGE",
        ),
    ];
    for (method, path, body, status, code) in cases {
        let answer = service.send(service.request(method, path).body(body)).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_error(&answer.body, code);
        assert_eq!(answer.headers["content-type"], "application/json");
        assert!(
            answer.headers.contains_key("x-request-id"),
            "{method} {path}"
        );
        assert_eq!(
            answer.headers.contains_key("allow"),
            status == 405,
            "{method} {path}"
        );
    }
}

#[tokio::test]
async fn a_body_that_hides_its_length_is_bounded_too() {
    let service = TestService::start_with(|s| s.max_request_size = 1000.try_into().unwrap()).await;
    let address = service.base.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "POST /api/v1/mesh/generate HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
                transfer-encoding: chunked\r\n\r\n";
    let chunk = format!("7d1\r\n{}\r\n0\r\n\r\n", "x".repeat(0x7d1));
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(chunk.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    assert!(answer.contains("PAYLOAD_TOO_LARGE"), "{answer}");
}

#[tokio::test]
async fn the_content_type_does_not_matter() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/disc.png") }).to_string();
    let request = service
        .request("POST", "/api/v1/mesh/generate")
        .header("content-type", "text/plain")
        .body(body);
    let answer = service.send(request).await;
    assert_eq!(answer.status, 202);
    // An id was made, and leads to the job.
    let id = answer.body["job_id"].as_str().unwrap();
    assert_eq!(service.ended(id).await["status"], "completed");
}

#[tokio::test]
async fn a_request_id_is_echoed_or_made() {
    let service = TestService::start().await;
    let request = service
        .request("GET", "/health")
        .header("X-Request-ID", "from-rails-7");
    let answer = service.send(request).await;
    assert_eq!(answer.headers["x-request-id"], "from-rails-7");
    let answer = service.get("/health").await;
    assert_eq!(answer.headers["x-request-id"].len(), 36);
}

#[tokio::test]
async fn the_prefix_is_a_setting() {
    let origin = Origin::start().await;
    for prefix in ["", "/custom/v2"] {
        let service = TestService::start_with(|s| s.api_prefix = prefix.into()).await;
        let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" }).to_string();
        let path = format!("{prefix}/mesh/generate");
        let answer = service
            .send(service.request("POST", &path).body(body))
            .await;
        assert_eq!(answer.status, 202, "{prefix}");
        let path = format!("{prefix}/mesh/j/status");
        let url = crate::harness::eventually("completed", || async {
            let body = service.get(&path).await.body;
            body["result_url"].as_str().map(str::to_owned)
        })
        .await;
        assert_eq!(url, format!("{}{prefix}/mesh/j/result", service.base));
        assert_eq!(service.get("/health").await.status, 200);
        assert_eq!(service.get("/api/v1/mesh/j/status").await.status, 404);
    }
}

#[tokio::test]
async fn result_urls_follow_the_host_header_or_the_public_url() {
    let origin = Origin::start().await;
    // On this machine alone a proxy's names are taken only from one that is trusted.
    let proxy = "127.0.0.1/32".parse().unwrap();
    let service = TestService::start_with(|s| s.trusted_proxies = vec![proxy]).await;
    service.accept("j", &origin.url("/disc.png")).await;
    service.ended("j").await;
    for (host, base) in [
        ("mesh.example", "http://mesh.example".to_owned()),
        ("mesh.example:8443", "http://mesh.example:8443".to_owned()),
        ("evil/../path", service.base.clone()),
    ] {
        let request = service
            .request("GET", "/api/v1/mesh/j/status")
            .header("host", host);
        let answer = service.send(request).await;
        assert_eq!(
            answer.body["result_url"],
            format!("{base}/api/v1/mesh/j/result")
        );
    }
    let directory = service.stop().await;
    let public = |s: &mut spinelift_mesh_service::Settings| {
        s.public_url = Some("https://mesh.example/base".into());
    };
    let service = TestService::start_in(directory, public).await;
    assert_eq!(
        service.status("j").await.body["result_url"],
        "https://mesh.example/base/api/v1/mesh/j/result"
    );
}

#[tokio::test]
async fn a_result_that_was_removed_is_gone() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/disc.png")).await;
    service.ended("j").await;
    std::fs::remove_dir_all(service.directory().join("storage/results")).unwrap();
    let answer = service.result("j").await;
    assert_eq!((answer.status, answer.code()), (410, "RESULT_GONE"));
}
