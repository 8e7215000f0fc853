//! `/health/live` and `/health/ready`.

use crate::harness::{Answer, Origin, TestService, eventually};
use serde_json::json;
use spinelift_mesh_service::ApiKeys;
use std::time::Duration;

/// Waits until the service says that it is ready, or is not.
async fn readiness(service: &TestService, status: u16) -> Answer {
    eventually(&format!("readiness is {status}"), || async {
        let answer = service.get("/health/ready").await;
        (answer.status == status).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn a_service_in_order_is_alive_and_ready_and_needs_no_key_to_say_so() {
    let service = TestService::start_with(|s| {
        s.api_keys = ApiKeys::parse("0123456789abcdef").unwrap();
    })
    .await;
    let live = service.get("/health/live").await;
    assert_eq!(
        (live.status, live.body),
        (200, json!({ "status": "alive" }))
    );
    let ready = service.get("/health/ready").await;
    let fine = json!({ "ok": true });
    let expected = json!({
        "status": "ready",
        "checks": {
            "jobs": fine, "storage": fine, "queue": fine, "workers": fine, "draining": fine,
        },
    });
    assert_eq!((ready.status, ready.body), (200, expected));
    assert_eq!(ready.headers["cache-control"], "no-store");
}

#[cfg(unix)]
#[tokio::test]
async fn a_database_that_is_removed_makes_it_not_ready_and_nothing_is_accepted_in_vain() {
    let service = TestService::start().await;
    let path = service.directory().join("jobs.db");
    let aside = service.directory().join("aside.db");
    std::fs::rename(&path, &aside).unwrap();
    let answer = readiness(&service, 503).await;
    let reason = answer.body["checks"]["jobs"]["reason"].as_str().unwrap();
    assert!(reason.contains("removed or replaced"), "{reason}");
    let job = json!({ "image_url": "http://127.0.0.1:9/a.png" });
    let refused = service.generate(&job).await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "STORAGE_UNAVAILABLE")
    );
    std::fs::rename(&aside, &path).unwrap();
    readiness(&service, 200).await;
    assert_eq!(service.generate(&job).await.status, 202);
}

#[tokio::test]
async fn storage_that_cannot_be_written_makes_it_not_ready_but_alive_until_it_can() {
    let service = TestService::start().await;
    let storage = service.directory().join("storage");
    readiness(&service, 200).await;
    let aside = service.directory().join("aside");
    std::fs::rename(&storage, &aside).unwrap();
    // Not even root can make a directory where a file is.
    std::fs::write(&storage, b"").unwrap();
    let answer = readiness(&service, 503).await;
    assert_eq!(answer.body["status"], "not_ready");
    let checks = &answer.body["checks"];
    assert_eq!(checks["storage"]["ok"], false);
    let reason = checks["storage"]["reason"].as_str().unwrap();
    assert!(reason.contains("STORAGE_PATH"), "{reason}");
    assert_eq!(checks["jobs"], json!({ "ok": true }));
    assert_eq!(service.get("/health/live").await.status, 200);
    assert_eq!(service.get("/health").await.body["status"], "healthy");
    std::fs::remove_file(&storage).unwrap();
    std::fs::rename(&aside, &storage).unwrap();
    readiness(&service, 200).await;
}

#[tokio::test]
async fn storage_whose_disk_is_gone_is_not_taken_for_an_empty_one() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("before", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("before").await["status"], "completed");
    let storage = service.directory().join("storage");
    let aside = service.directory().join("aside");
    std::fs::rename(&storage, &aside).unwrap();
    // As where a disk was mounted.
    std::fs::create_dir(&storage).unwrap();
    let answer = readiness(&service, 503).await;
    let reason = &answer.body["checks"]["storage"]["reason"];
    let reason = reason.as_str().unwrap();
    assert!(reason.contains("mount the disk again"), "{reason}");
    let result = service.get("/api/v1/mesh/before/result").await;
    assert_eq!((result.status, result.code()), (503, "STORAGE_UNAVAILABLE"));
    service
        .accept("meanwhile", &origin.url("/disc.png?2"))
        .await;
    assert_eq!(std::fs::read_dir(&storage).unwrap().count(), 0);
    std::fs::remove_dir(&storage).unwrap();
    std::fs::rename(&aside, &storage).unwrap();
    readiness(&service, 200).await;
    assert_eq!(service.ended("meanwhile").await["status"], "completed");
    assert_eq!(service.get("/api/v1/mesh/before/result").await.status, 200);
}

#[tokio::test]
async fn a_full_queue_makes_it_not_ready() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_queue_length = 1.try_into().unwrap();
        s.max_concurrent_downloads = 1.try_into().unwrap();
    })
    .await;
    service.accept("running", &origin.url("/gated.png")).await;
    service.running("running").await;
    readiness(&service, 200).await;
    service.accept("waiting", &origin.url("/disc.png")).await;
    let answer = service.get("/health/ready").await;
    assert_eq!(answer.status, 503);
    let reason = &answer.body["checks"]["queue"]["reason"];
    assert!(
        reason.as_str().unwrap().contains("MAX_QUEUE_LENGTH"),
        "{reason}"
    );
    origin.open_gate();
    service.ended("waiting").await;
    readiness(&service, 200).await;
}

#[tokio::test]
async fn a_service_that_is_told_to_stop_serves_on_for_a_while_but_is_not_ready() {
    let origin = Origin::start().await;
    // Longer than the test takes, which ends it by dropping the service.
    let service = TestService::start_with(|s| s.drain_delay = Duration::from_secs(600)).await;
    readiness(&service, 200).await;
    let service = service.begin_to_stop();
    let answer = readiness(&service, 503).await;
    let checks = &answer.body["checks"];
    assert_eq!(checks["draining"]["ok"], false, "{checks}");
    assert_eq!(checks["storage"]["ok"], true, "{checks}");
    assert_eq!(service.get("/health/live").await.status, 200);
    service.accept("late", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("late").await["status"], "completed");
}
