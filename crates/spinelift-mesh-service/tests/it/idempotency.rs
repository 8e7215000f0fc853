//! One id, one job.

use crate::harness::{Origin, TestService};
use serde_json::json;

#[tokio::test]
async fn a_repeated_request_finds_its_job() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/gated.png"), "job_id": "j" });
    assert_eq!(service.generate(&body).await.body["status"], "processing");
    service.running("j").await;
    // The same, though written differently: defaults, key order, an unknown field.
    let again = json!({
        "job_id": "j",
        "note": 1,
        "parameters": { "blur_kernel_size": 1 },
        "image_url": origin.url("/gated.png#fragment"),
        "callback_url": null,
    });
    let answer = service.generate(&again).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (202, &json!("processing"))
    );
    origin.open_gate();
    service.ended("j").await;
    let answer = service.generate(&body).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (202, &json!("completed"))
    );
    assert_eq!(answer.body["estimated_time"], 0);
    assert_eq!(origin.hits("/gated.png"), 1);
}

#[tokio::test]
async fn a_repeated_request_for_a_failed_job_says_failed() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/missing.png"), "job_id": "j" });
    service.generate(&body).await;
    service.ended("j").await;
    let answer = service.generate(&body).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (202, &json!("failed"))
    );
}

#[tokio::test]
async fn another_request_under_a_known_id_is_a_conflict() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/disc.png")).await;
    for other in [
        json!({ "image_url": origin.url("/other.png"), "job_id": "j" }),
        json!({
            "image_url": origin.url("/disc.png"), "job_id": "j",
            "parameters": { "detail_factor": 0.02 },
        }),
        json!({
            "image_url": origin.url("/disc.png"), "job_id": "j",
            "callback_url": origin.url("/callback"),
        }),
    ] {
        let answer = service.generate(&other).await;
        assert_eq!(
            (answer.status, answer.code()),
            (409, "JOB_ID_CONFLICT"),
            "{other}"
        );
    }
    assert_eq!(service.ended("j").await["status"], "completed");
}

#[tokio::test]
async fn a_hundred_requests_at_once_make_one_job() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" });
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..100 {
        let request = service
            .request("POST", "/api/v1/mesh/generate")
            .body(body.to_string());
        requests.spawn(async move { request.send().await.unwrap().status().as_u16() });
    }
    assert_eq!(requests.join_all().await, [202; 100]);
    assert_eq!(service.ended("j").await["attempts"], 1);
    assert_eq!(origin.hits("/disc.png"), 1);
}
