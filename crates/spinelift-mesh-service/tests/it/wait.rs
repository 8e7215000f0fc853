//! Answers that are held until their job has ended, and keys by which repeats find it.

use crate::harness::{Answer, Origin, TestService};
use serde_json::{Value, json};
use spinelift_mesh_service::ApiKeys;

async fn generate(service: &TestService, query: &str, key: Option<&str>, body: &Value) -> Answer {
    let request = service.request("POST", &format!("/api/v1/mesh/generate{query}"));
    let request = match key {
        Some(key) => request.header("Idempotency-Key", key),
        None => request,
    };
    service.send(request.body(body.to_string())).await
}

#[tokio::test]
async fn an_answer_that_waits_brings_the_mesh() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" });
    for _ in 0..2 {
        let answer = generate(&service, "?wait=60", None, &body).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.body["job_id"], "j");
        assert_eq!(answer.body["status"], "completed");
        assert_eq!(answer.body["cached"], false);
        let status = service.status("j").await.body;
        assert_eq!(answer.body["result_url"], status["result_url"]);
        assert_eq!(answer.body["result"], service.result("j").await.body);
    }
}

#[tokio::test]
async fn an_answer_that_waits_tells_of_a_failure() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/clear.png"), "job_id": "j" });
    let answer = generate(&service, "?wait=60", None, &body).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body, service.status("j").await.body);
    assert_eq!(answer.body["error"]["code"], "CONTOUR_EXTRACTION_FAILED");
}

#[tokio::test]
async fn an_answer_waits_no_longer_than_it_may() {
    let origin = Origin::start().await;
    // The time that requests have bounds the time that they wait. A tenth of it is between the
    // answer and the 408: enough on a machine that is busy.
    let service =
        TestService::start_with(|s| s.request_timeout = std::time::Duration::from_secs(10)).await;
    let body = json!({ "image_url": origin.url("/hang.png") });
    let answer = generate(&service, "?wait=60", None, &body).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (202, &json!("processing"))
    );
    for bad in ["0", "61", "x", ""] {
        let answer = generate(&service, &format!("?wait={bad}"), None, &json!({})).await;
        let errors = &answer.body["error"]["details"]["errors"];
        assert_eq!(answer.status, 422);
        assert_eq!(
            (&errors[0]["field"], &errors[1]["field"]),
            (&json!("wait"), &json!("image_url"))
        );
    }
}

#[tokio::test]
async fn an_answer_that_waits_holds_up_no_shutdown() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/hang.png"), "job_id": "j" });
    let request = service
        .request("POST", "/api/v1/mesh/generate?wait=60")
        .body(body.to_string());
    let waiting = tokio::spawn(async move { request.send().await.unwrap().status().as_u16() });
    service.running("j").await;
    let stopping = tokio::spawn(service.stop());
    assert_eq!(waiting.await.unwrap(), 202);
    stopping.abort();
}

#[tokio::test]
async fn a_repeat_with_its_key_finds_its_job() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({ "image_url": origin.url("/disc.png") });
    let first = generate(&service, "", Some("order-7"), &body).await;
    assert_eq!(first.status, 202);
    let id = first.body["job_id"].as_str().unwrap();
    service.ended(id).await;
    let again = generate(&service, "", Some("order-7"), &body).await;
    assert_eq!(again.body["job_id"], id);
    assert_eq!(again.body["status"], "completed");
    let other = generate(&service, "", Some("order-8"), &body).await;
    assert_ne!(other.body["job_id"], id);
    let named = json!({ "image_url": origin.url("/disc.png"), "job_id": "named" });
    let named = generate(&service, "", Some("order-7"), &named).await;
    assert_eq!(named.body["job_id"], "named");

    let body = json!({ "image_url": origin.url("/other.png") });
    let conflict = generate(&service, "", Some("order-7"), &body).await;
    assert_eq!(
        (conflict.status, conflict.code()),
        (409, "IDEMPOTENCY_KEY_CONFLICT")
    );
    for bad in ["", "a b", &"x".repeat(256)] {
        let answer = generate(&service, "", Some(bad), &body).await;
        assert_eq!(answer.status, 422, "{bad}");
    }
}

#[tokio::test]
async fn the_keys_of_different_clients_are_different() {
    let origin = Origin::start().await;
    let keys = ["the-key-of-one-client", "the-key-of-another-one"];
    let service =
        TestService::start_with(|s| s.api_keys = ApiKeys::parse(&keys.join(",")).unwrap()).await;
    let body = json!({ "image_url": origin.url("/disc.png") }).to_string();
    let mut ids = Vec::new();
    for key in keys {
        let request = service
            .request("POST", "/api/v1/mesh/generate")
            .bearer_auth(key);
        let request = request.header("Idempotency-Key", "same").body(body.clone());
        ids.push(service.send(request).await.body["job_id"].clone());
    }
    assert!(ids[0].is_string());
    assert_ne!(ids[0], ids[1]);
}
