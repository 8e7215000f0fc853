//! Images that are read from buckets.

use super::{reach, store_in};
use crate::harness::raw_origin::{RawOrigin, Step};
use crate::harness::{Line, S3Server, TestService, disc};
use serde_json::{Value, json};
use spinelift_mesh_service::{AllowedBucket, Secret};
use std::time::Duration;

/// The URL of an object below the test's prefix.
fn url(server: &S3Server, name: &str) -> String {
    format!("s3://{}/{}{name}", server.bucket, server.prefix)
}

fn allowed(server: &S3Server, below: &str) -> Vec<AllowedBucket> {
    let text = format!("{}/{}{below}", server.bucket, server.prefix);
    vec![AllowedBucket::parse(&text).unwrap()]
}

/// A service with a directory of its own, which reads images below `art/`.
async fn started(server: &S3Server) -> TestService {
    TestService::start_with(|s| {
        reach(server, s);
        s.allowed_s3_buckets = allowed(server, "art/");
        s.max_image_bytes = 10_000.try_into().unwrap();
    })
    .await
}

async fn failure(service: &TestService, id: &str, url: &str) -> Value {
    service.accept(id, url).await;
    let status = service.ended(id).await;
    assert_eq!(status["status"], "failed", "{status}");
    assert_eq!(status["error"]["code"], "IMAGE_LOAD_FAILED", "{status}");
    status["error"].clone()
}

#[tokio::test]
async fn an_image_in_an_allowed_place_is_read() {
    let server = S3Server::start().await;
    let service = started(&server).await;
    server.put("art/hero ü.png", disc(32)).await;
    let body = json!({ "job_id": "job", "image_url": url(&server, "art/hero%20%C3%BC.png") });
    let answer = service.generate(&body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let status = service.ended("job").await;
    assert_eq!(status["status"], "completed", "{status}");
}

#[tokio::test]
async fn one_server_serves_images_and_results() {
    let server = S3Server::start().await;
    let service = TestService::start_with(|s| {
        store_in(&server, s);
        s.allowed_s3_buckets = allowed(&server, "");
    })
    .await;
    server.put("hero.png", disc(32)).await;
    service.accept("job", &url(&server, "hero.png")).await;
    assert_eq!(service.ended("job").await["status"], "completed");
}

#[tokio::test]
async fn what_is_not_allowed_is_refused_with_the_settings_name() {
    let server = S3Server::start().await;
    server.put("secret.png", disc(32)).await;
    let service = started(&server).await;
    let closed = TestService::start().await;
    for (service, image) in [
        (&closed, url(&server, "art/hero.png")),
        (&service, url(&server, "secret.png")),
        (&service, url(&server, "art/../secret.png")),
        (&service, url(&server, "art/%2e%2e/secret.png")),
        (&service, url(&server, "art%2F..%2Fsecret.png")),
        (&service, "s3://another-bucket/art/hero.png".to_owned()),
    ] {
        let answer = service.generate(&json!({ "image_url": image })).await;
        assert_eq!(answer.status, 422, "{image}: {answer:?}");
        let message = &answer.body["error"]["details"]["errors"][0]["message"];
        let message = message.as_str().unwrap();
        assert!(message.starts_with("image_url is refused"), "{message}");
        let names = message.contains("ALLOWED_S3_BUCKETS") || message.contains("`..`");
        assert!(names, "{image}: {message}");
    }
    // Callbacks go to web servers alone.
    let body = json!({
        "image_url": url(&server, "art/hero.png"), "callback_url": url(&server, "art/cb"),
    });
    assert_eq!(service.generate(&body).await.status, 422);
}

#[tokio::test]
async fn what_is_no_longer_allowed_is_not_read() {
    let server = S3Server::start().await;
    server.put("art/hero.png", disc(32)).await;
    let line = server.through().await;
    let service = TestService::start_with(|s| {
        reach(&server, s);
        s.s3_endpoint = Some(line.endpoint.clone());
        s.allowed_s3_buckets = allowed(&server, "art/");
        s.drain_timeout = Duration::from_millis(1);
    })
    .await;
    line.set(Line::Hangs);
    service.accept("job", &url(&server, "art/hero.png")).await;
    service.running("job").await;
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |s| {
        reach(&server, s);
        s.allowed_s3_buckets = allowed(&server, "other/");
    })
    .await;
    let status = service.ended("job").await;
    assert_eq!(status["error"]["details"]["reason"], "address_not_allowed");
}

#[tokio::test]
async fn images_that_cannot_be_used_fail_as_those_of_web_servers_do() {
    let server = S3Server::start().await;
    let service = started(&server).await;
    server.put("art/large.png", large()).await;
    server
        .put("art/text.png", "<html>not an image</html>")
        .await;
    server.put("art/empty.png", "").await;
    for (name, reason) in [
        ("missing", "http_status"),
        ("large", "too_many_bytes"),
        ("text", "unknown_format"),
        ("empty", "empty"),
    ] {
        let error = failure(&service, name, &url(&server, &format!("art/{name}.png"))).await;
        let details = &error["details"];
        assert_eq!(details["reason"], reason, "{error}");
        assert_eq!(details["tries"], 1, "{error}");
        assert_eq!(details["url"], url(&server, &format!("art/{name}.png")));
        if name == "missing" {
            assert_eq!(details["status"], 404, "{error}");
        }
    }
}

/// Begins like an image.
fn large() -> Vec<u8> {
    let mut bytes = disc(32);
    bytes.resize(20_000, 0);
    bytes
}

#[tokio::test]
async fn an_image_is_asked_for_again_and_not_sent_again_while_it_is_the_same() {
    let server = S3Server::start().await;
    let service = started(&server).await;
    let image = url(&server, "art/hero.png");
    let mut meshes = Vec::new();
    for (id, size) in [("one", 32), ("two", 32), ("three", 48)] {
        server.put("art/hero.png", disc(size)).await;
        service.accept(id, &image).await;
        assert_eq!(service.ended(id).await["status"], "completed");
        meshes.push(service.result(id).await.body["metadata"]["width"].clone());
    }
    assert_eq!(meshes, [32, 32, 48]);
}

#[tokio::test]
async fn a_server_that_fails_is_tried_again_and_then_told_of() {
    let server = S3Server::start().await;
    server.put("art/hero.png", disc(32)).await;
    let line = server.through().await;
    let service = TestService::start_with(|s| {
        reach(&server, s);
        s.s3_endpoint = Some(line.endpoint.clone());
        s.allowed_s3_buckets = allowed(&server, "art/");
        s.image_first_byte_timeout = Duration::from_millis(300);
        s.image_tries = 2.try_into().unwrap();
    })
    .await;
    for (line_is, id, reasons) in [
        (Line::Answers(500), "fails", &["s3_error"][..]),
        (Line::Hangs, "hangs", &["timeout"]),
        (Line::Drips, "drips", &["timeout"]),
        (Line::Gone, "gone", &["connect"]),
        (Line::Closes, "closes", &["connect", "connection_broken"]),
    ] {
        line.set(line_is);
        let error = failure(&service, id, &url(&server, "art/hero.png")).await;
        let reason = error["details"]["reason"].as_str().unwrap();
        assert!(reasons.contains(&reason), "{error}");
        assert_eq!(error["details"]["tries"], 2, "{error}");
    }
    line.set(Line::Works);
    service.accept("works", &url(&server, "art/hero.png")).await;
    assert_eq!(service.ended("works").await["status"], "completed");
}

#[tokio::test]
async fn a_server_that_lies_is_not_believed() {
    let origin = RawOrigin::start(|request, _| {
        let (length, body) = match request.path.as_str() {
            // Cut off.
            "/lying/art/short.png" => ("Content-Length: 5000\r\n", disc(32)),
            // Neither a length nor an image.
            "/lying/art/endless.png" => {
                ("Transfer-Encoding: chunked\r\n", b"5\r\nhello\r\n".to_vec())
            }
            // The answer of some proxy.
            _ => (
                "Content-Length: 17\r\n",
                b"<html>log in</html>"[..17].to_vec(),
            ),
        };
        let head = format!(
            "HTTP/1.1 200 OK\r\n{length}ETag: \"a\"\r\n\
             Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
        );
        vec![Step::Send(head.into_bytes()), Step::Send(body), Step::Close]
    })
    .await;
    let service = TestService::start_with(|s| {
        s.s3_endpoint = Some(origin.url(""));
        s.aws_access_key_id = Some(Secret::new("key"));
        s.aws_secret_access_key = Some(Secret::new("secret"));
        s.allowed_s3_buckets = vec![AllowedBucket::parse("lying/art/").unwrap()];
        s.image_tries = 1.try_into().unwrap();
    })
    .await;
    for (name, reason) in [
        ("short", "wrong_length"),
        ("endless", "s3_error"),
        ("proxy", "unknown_format"),
    ] {
        let error = failure(&service, name, &format!("s3://lying/art/{name}.png")).await;
        assert_eq!(error["details"]["reason"], reason, "{error}");
        // Where the server is, is no business of clients.
        assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    }
}
