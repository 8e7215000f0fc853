//! The S3 server is slow, fails, or is gone for a while.

use super::{store_through, upload};
use crate::harness::{Answer, Line, Origin, Outage, S3Server, TestService, disc, eventually};
use serde_json::json;
use spinelift_mesh_service::Service;
use std::time::Duration;

const FAILURES: [Line; 6] = [
    Line::Gone,
    Line::Closes,
    Line::Hangs,
    Line::Drips,
    Line::Answers(500),
    Line::Answers(503),
];

async fn started() -> (S3Server, Outage, Origin, TestService) {
    let server = S3Server::start().await;
    let (line, origin) = (server.through().await, Origin::start().await);
    let service = TestService::start_with(|s| store_through(&line, &server, s)).await;
    (server, line, origin, service)
}

async fn readiness(service: &TestService, status: u16) -> Answer {
    eventually(&format!("readiness is {status}"), || async {
        let answer = service.get("/health/ready").await;
        (answer.status == status).then_some(answer)
    })
    .await
}

#[tokio::test]
async fn jobs_wait_for_the_storage_and_complete() {
    let (_server, line, origin, service) = started().await;
    for (number, failure) in FAILURES.into_iter().enumerate() {
        let sent = format!("sent-{number}");
        // Its image is stored, and read before the failure or after it.
        let answer = upload(&service, &sent, disc(40 + number as u32)).await;
        assert_eq!(answer.status, 202, "{failure:?}: {answer:?}");
        line.set(failure);
        let made = format!("made-{number}");
        // Of its own, so that no earlier result is there.
        let body = json!({
            "job_id": made, "image_url": origin.url("/disc.png"),
            "parameters": { "min_contour_area": number + 20 },
        });
        let answer = service.generate(&body).await;
        assert_eq!(answer.status, 202, "{failure:?}: {answer:?}");
        // Everything but the storing is done.
        eventually("the mesh is made", || async {
            let body = service.status(&made).await.body;
            (body["progress"].as_u64() >= Some(95)).then_some(())
        })
        .await;
        let reason = readiness(&service, 503).await.body["checks"]["storage"].clone();
        assert!(
            reason["reason"].as_str().unwrap().contains("S3_ENDPOINT"),
            "{reason}"
        );
        assert_eq!(
            service.status(&made).await.body["status"],
            "processing",
            "{failure:?}"
        );
        line.set(Line::Works);
        for id in [&sent, &made] {
            let status = service.ended(id).await;
            assert_eq!(status["status"], "completed", "{failure:?}: {status}");
            assert_eq!(service.result(id).await.status, 200);
        }
        readiness(&service, 200).await;
    }
}

#[tokio::test]
async fn requests_that_need_the_storage_are_told_to_come_back() {
    let (_server, line, origin, service) = started().await;
    service.accept("before", &origin.url("/disc.png")).await;
    service.ended("before").await;
    for failure in FAILURES {
        line.set(failure);
        for answer in [
            upload(&service, "sent", disc(32)).await,
            service.result("before").await,
        ] {
            assert_eq!(answer.status, 503, "{failure:?}: {answer:?}");
            assert_eq!(answer.code(), "STORAGE_UNAVAILABLE");
            assert_eq!(answer.headers["retry-after"], "5");
        }
        // Nothing was accepted, and what needs no storage is answered.
        assert_eq!(service.status("sent").await.status, 404);
        assert_eq!(service.status("before").await.status, 200);
        let answer = readiness(&service, 503).await;
        let reason = answer.body["checks"]["storage"]["reason"].clone();
        let reason = reason.as_str().unwrap();
        assert!(
            reason.contains("S3_ENDPOINT") && reason.contains("S3_BUCKET"),
            "{failure:?}: {reason}"
        );
        assert!(!reason.contains("disk of"), "{reason}");
        assert_eq!(service.get("/health/live").await.status, 200);
        line.set(Line::Works);
        readiness(&service, 200).await;
        assert_eq!(service.result("before").await.status, 200);
    }
    assert_eq!(upload(&service, "sent", disc(32)).await.status, 202);
    assert_eq!(service.ended("sent").await["status"], "completed");
}

#[tokio::test]
async fn a_job_that_waits_for_the_storage_can_be_cancelled_and_resumed() {
    let (server, line, origin, service) = started().await;
    line.set(Line::Gone);
    for id in ["dropped", "kept"] {
        service.accept(id, &origin.url("/disc.png")).await;
    }
    let request = service.request("POST", "/api/v1/mesh/dropped/cancel");
    assert_eq!(service.send(request).await.body["cancelled"], true);
    assert_eq!(service.status("dropped").await.body["state"], "cancelled");
    // What is stopped while it waits goes on after the next start.
    let directory = service.stop().await;
    line.set(Line::Works);
    let service = TestService::start_in(directory, |s| store_through(&line, &server, s)).await;
    assert_eq!(service.ended("kept").await["status"], "completed");
}

#[tokio::test]
async fn the_time_in_which_a_job_waits_for_the_storage_does_not_count() {
    let server = S3Server::start().await;
    let (line, origin) = (server.through().await, Origin::start().await);
    let service = TestService::start_with(|s| {
        store_through(&line, &server, s);
        s.job_timeout = Duration::from_secs(5);
    })
    .await;
    line.set(Line::Gone);
    service.accept("job", &origin.url("/disc.png")).await;
    service.running("job").await;
    // The outage is longer than a job may take: one that begins later, and waits for its image,
    // which does count, is at its end.
    service.accept("late", &origin.url("/gated.png")).await;
    let late = service.ended("late").await;
    assert_eq!(late["error"]["code"], "JOB_TIMEOUT", "{late}");
    line.set(Line::Works);
    assert_eq!(service.ended("job").await["status"], "completed");
}

#[tokio::test]
async fn a_storage_that_is_slow_is_waited_for_and_told_of() {
    let server = S3Server::start().await;
    let (line, origin) = (server.through().await, Origin::start().await);
    let service = TestService::start_with(|s| {
        store_through(&line, &server, s);
        s.s3_timeout = Duration::from_secs(60);
    })
    .await;
    line.set(Line::Slow(Duration::from_millis(2500)));
    service.accept("job", &origin.url("/disc.png")).await;
    let reason = readiness(&service, 503).await.body["checks"]["storage"].clone();
    let reason = reason["reason"].as_str().unwrap();
    assert!(reason.contains("does not answer within 2 s"), "{reason}");
    assert_eq!(service.ended("job").await["status"], "completed");
    assert_eq!(service.result("job").await.status, 200);
    line.set(Line::Works);
    readiness(&service, 200).await;
}

#[tokio::test]
async fn a_start_without_the_server_fails_with_a_sentence() {
    let server = S3Server::start().await;
    let line = server.through().await;
    for failure in FAILURES {
        line.set(failure);
        let directory = tempfile::tempdir().unwrap();
        let mut settings = crate::harness::settings(directory.path());
        store_through(&line, &server, &mut settings);
        let Err(error) = Service::start(settings).await else {
            panic!("it started: {failure:?}")
        };
        let text = error.to_string();
        assert!(
            text.contains(&server.bucket) && text.contains("S3_"),
            "{failure:?}: {text}"
        );
    }
}
