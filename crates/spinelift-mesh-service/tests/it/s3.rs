//! Results and images in an S3 bucket.

mod outage;
mod sources;

use crate::harness::{Origin, Outage, S3Server, TestService, eventually, settings};
use serde_json::{Value, json};
use spinelift_mesh_service::settings::{ResultUrlKind, StorageBackend};
use spinelift_mesh_service::{ApiKeys, Secret, Service, Settings};
use std::time::Duration;

/// Settings with which images are read from the test's part of the bucket.
fn reach(server: &S3Server, settings: &mut Settings) {
    settings.s3_endpoint = Some(server.endpoint.clone());
    settings.s3_region = Some(server.region.clone());
    settings.aws_access_key_id = Some(Secret::new(&server.key_id));
    settings.aws_secret_access_key = Some(Secret::new(&server.secret));
}

/// Settings with which results are stored in the test's part of the bucket.
fn store_in(server: &S3Server, settings: &mut Settings) {
    reach(server, settings);
    settings.storage_backend = StorageBackend::S3;
    settings.s3_bucket = Some(server.bucket.clone());
    settings.s3_prefix = server.prefix.clone();
}

/// The same, through a line that can fail, whose failures are soon noticed.
fn store_through(line: &Outage, server: &S3Server, settings: &mut Settings) {
    store_in(server, settings);
    settings.s3_endpoint = Some(line.endpoint.clone());
    settings.s3_timeout = Duration::from_secs(3);
    settings.drain_timeout = Duration::from_secs(1);
}

async fn upload(service: &TestService, id: &str, image: Vec<u8>) -> crate::harness::Answer {
    let part = |name: &str| format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"");
    let mut body = format!("{}\r\n\r\n{id}\r\n", part("job_id")).into_bytes();
    body.extend(format!("{}; filename=\"i\"\r\n\r\n", part("file")).bytes());
    body.extend(image);
    body.extend(b"\r\n--b--\r\n");
    let request = service
        .request("POST", "/api/v1/mesh/upload")
        .header("content-type", "multipart/form-data; boundary=b")
        .body(body);
    service.send(request).await
}

const KEY: &str = "0123456789abcdef";

/// What a client without any key or header of ours gets.
async fn fetch(url: &str) -> (u16, reqwest::header::HeaderMap, Value) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let response = client.get(url).send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = response.bytes().await.unwrap();
    let body = serde_json::from_slice(&body).unwrap_or_default();
    (status, headers, body)
}

#[tokio::test]
async fn a_job_has_its_result_in_the_bucket_until_it_is_deleted() {
    let (server, origin) = (S3Server::start().await, Origin::start().await);
    let service = TestService::start_with(|s| store_in(&server, s)).await;
    service.accept("job", &origin.url("/disc.png")).await;
    let status = service.ended("job").await;
    assert_eq!(status["status"], "completed", "{status}");
    let url = status["result_url"].as_str().unwrap();
    assert_eq!(url, format!("{}/api/v1/mesh/job/result", service.base));
    let result = service.result("job").await;
    assert_eq!(result.status, 200);
    assert!(result.body["triangles"][0].is_array(), "{result:?}");
    let keys = server.keys().await;
    let results = keys.iter().filter(|key| key.starts_with("results/"));
    assert_eq!(results.count(), 1, "{keys:?}");
    // The same image once more, from the bucket.
    service.accept("again", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("again").await["cached"], true);
    assert_eq!(service.get("/health/ready").await.status, 200);
    // Nothing of it is in the directory that is used otherwise.
    assert!(!service.directory().join("storage").exists());
}

#[tokio::test]
async fn an_upload_is_kept_in_the_bucket_while_its_job_needs_it() {
    let server = S3Server::start().await;
    let service = TestService::start_with(|s| {
        store_in(&server, s);
        s.max_concurrent_downloads = 1.try_into().unwrap();
    })
    .await;
    let origin = Origin::start().await;
    service.accept("before", &origin.url("/gated.png")).await;
    service.running("before").await;
    let answer = upload(&service, "sent", crate::harness::disc(32)).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let uploads = async || {
        let keys = server.keys().await;
        let uploads = keys.iter().filter(|key| key.starts_with("uploads/"));
        uploads.count()
    };
    assert_eq!(uploads().await, 1);
    origin.open_gate();
    assert_eq!(service.ended("sent").await["status"], "completed");
    eventually("the upload is removed", || async {
        (uploads().await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn jobs_and_results_outlive_a_restart() {
    let (server, origin) = (S3Server::start().await, Origin::start().await);
    let service = TestService::start_with(|s| store_in(&server, s)).await;
    service.accept("job", &origin.url("/disc.png")).await;
    service.ended("job").await;
    let mesh = service.result("job").await.body;
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |s| store_in(&server, s)).await;
    assert_eq!(service.result("job").await.body, mesh);
}

#[tokio::test]
async fn a_presigned_url_is_fetched_from_the_bucket_without_any_key() {
    let (server, origin) = (S3Server::start().await, Origin::start().await);
    let service = TestService::start_with(|s| {
        store_in(&server, s);
        s.result_urls = ResultUrlKind::Presigned;
        s.result_images = true;
    })
    .await;
    let body = json!({
        "job_id": "job", "image_url": origin.url("/disc.png"),
        "callback_url": origin.url("/callback"),
    });
    assert_eq!(service.generate(&body).await.status, 202);
    let status = service.ended("job").await;
    let url = status["result_url"].as_str().unwrap();
    assert!(url.starts_with(&server.endpoint), "{url}");
    let (code, headers, mesh) = fetch(url).await;
    assert_eq!((code, &mesh), (200, &service.result("job").await.body));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers["cache-control"], "private, no-cache");
    // The bucket has the result alone; other formats are the service's to make.
    let formats = "/api/v1/mesh/job/result?format=";
    for (format, kind) in [("svg", "image/svg+xml"), ("png", "image/png")] {
        let answer = service.get(&format!("{formats}{format}")).await;
        assert_eq!(answer.status, 200, "{format}");
        assert_eq!(answer.headers["content-type"], kind);
    }
    // Nothing else is opened by it.
    let other = url.replace("/results/", "/uploads/");
    assert!(fetch(&other).await.0 >= 400);
    // Everywhere where results are named.
    let list = service.get("/api/v1/mesh").await.body;
    let events = origin.events("job").await;
    let waited = service.request("POST", "/api/v1/mesh/generate?wait=60");
    let again = json!({ "image_url": origin.url("/disc.png") }).to_string();
    let waited = service.send(waited.body(again)).await.body;
    for url in [
        &list["jobs"][0]["result_url"],
        &events.last().unwrap()["result_url"],
        &waited["result_url"],
    ] {
        assert_eq!(fetch(url.as_str().unwrap()).await.2, mesh, "{url}");
    }
}

#[tokio::test]
async fn results_of_a_batch_have_presigned_urls_and_the_batch_one_of_the_service() {
    let (server, origin) = (S3Server::start().await, Origin::start().await);
    let service = TestService::start_with(|s| {
        store_in(&server, s);
        s.result_urls = ResultUrlKind::Presigned;
    })
    .await;
    let images = json!([
        { "image_url": origin.url("/disc.png") }, { "image_url": origin.url("/text.png") },
    ]);
    let body = json!({ "batch_id": "both", "images": images }).to_string();
    let request = service.request("POST", "/api/v1/mesh/batch").body(body);
    let answer = service.send(request).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let status = service.ended("both").await;
    let url = status["result_url"].as_str().unwrap();
    assert_eq!(url, format!("{}/api/v1/mesh/both/result", service.base));
    let (_, _, results) = fetch(url).await;
    let first = results[0]["result_url"].as_str().unwrap();
    assert!(fetch(first).await.2["triangles"].is_array(), "{results}");
    assert_eq!(results[1].get("result_url"), None, "{results}");
}

#[tokio::test]
async fn a_presigned_url_is_good_for_its_time() {
    let (server, origin) = (S3Server::start().await, Origin::start().await);
    let service = TestService::start_with(|s| {
        store_in(&server, s);
        s.result_urls = ResultUrlKind::Presigned;
        s.result_url_ttl = Duration::from_secs(2);
        s.api_keys = ApiKeys::parse(KEY).unwrap();
    })
    .await;
    let with_key = |method, path: &str| service.request(method, path).bearer_auth(KEY);
    let request = with_key("POST", "/api/v1/mesh/generate?wait=60");
    let body = json!({ "job_id": "job", "image_url": origin.url("/disc.png") }).to_string();
    let url = service.send(request.body(body)).await.body["result_url"].clone();
    let url = url.as_str().unwrap();
    assert!(url.contains("X-Amz-Expires=2&"), "{url}");
    eventually("it has expired", || async {
        (fetch(url).await.0 == 403).then_some(())
    })
    .await;
    eventually("a new one is good", || async {
        let status = with_key("GET", "/api/v1/mesh/job/status");
        let fresh = service.send(status).await.body["result_url"].clone();
        (fetch(fresh.as_str().unwrap()).await.0 == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn presigned_urls_name_the_server_as_clients_reach_it() {
    let (server, origin) = (S3Server::start().await, Origin::start().await);
    let line = server.through().await;
    let service = TestService::start_with(|s| {
        store_in(&server, s);
        s.result_urls = ResultUrlKind::Presigned;
        s.s3_public_endpoint = Some(line.endpoint.clone());
    })
    .await;
    service.accept("job", &origin.url("/disc.png")).await;
    let url = service.ended("job").await["result_url"].clone();
    let url = url.as_str().unwrap();
    assert!(url.starts_with(&line.endpoint), "{url}");
    assert_eq!(fetch(url).await.0, 200);
}

#[tokio::test]
async fn services_share_a_bucket_and_leave_each_others_objects_alone() {
    let (server, origin) = (S3Server::start().await, Origin::start().await);
    let one = TestService::start_with(|s| store_in(&server, s)).await;
    let two = TestService::start_with(|s| store_in(&server, s)).await;
    for service in [&one, &two] {
        service.accept("job", &origin.url("/disc.png")).await;
        assert_eq!(service.ended("job").await["status"], "completed");
    }
    let deleted = one.send(one.request("DELETE", "/api/v1/mesh/job")).await;
    assert_eq!(deleted.status, 204);
    assert_eq!(one.result("job").await.status, 404);
    assert_eq!(two.result("job").await.status, 200);
}

#[tokio::test]
async fn settings_that_do_not_fit_together_are_refused_by_name() {
    let server = S3Server::start().await;
    type Change = fn(&mut Settings);
    let cases: [(Change, &str); 4] = [
        (|s| s.s3_bucket = None, "S3_BUCKET"),
        (
            |s| {
                s.result_urls = ResultUrlKind::Presigned;
                s.result_url_ttl = Duration::from_secs(604_801);
            },
            "RESULT_URL_TTL",
        ),
        (
            |s| {
                s.result_urls = ResultUrlKind::Presigned;
                s.storage_backend = StorageBackend::Local;
            },
            "STORAGE_BACKEND=s3",
        ),
        (|s| s.aws_secret_access_key = None, "AWS_SECRET_ACCESS_KEY"),
    ];
    for (change, name) in cases {
        let directory = tempfile::tempdir().unwrap();
        let mut settings = settings(directory.path());
        store_in(&server, &mut settings);
        change(&mut settings);
        let Err(error) = Service::start(settings).await else {
            panic!("it started without {name}")
        };
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn credentials_are_not_printed() {
    let server = S3Server::start().await;
    let directory = tempfile::tempdir().unwrap();
    let mut settings = settings(directory.path());
    store_in(&server, &mut settings);
    settings.aws_secret_access_key = Some(Secret::new("hush-hush"));
    let shown = format!("{settings:?}");
    let Err(error) = Service::start(settings).await else {
        panic!("the secret is wrong")
    };
    for text in [shown, error.to_string(), format!("{error:?}")] {
        assert!(!text.contains("hush-hush"), "{text}");
        assert!(
            !text.contains("test-key") || text.contains("AWS_ACCESS_KEY_ID"),
            "{text}"
        );
    }
}
