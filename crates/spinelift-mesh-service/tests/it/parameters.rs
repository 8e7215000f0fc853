//! Presets, and parameters that are checked without a job.

use crate::harness::{Answer, Origin, TestService};
use serde_json::{Value, json};

async fn validate(service: &TestService, body: &Value) -> Answer {
    let request = service.request("POST", "/api/v1/parameters/validate");
    service.send(request.body(body.to_string())).await
}

#[tokio::test]
async fn presets_are_listed_and_used_by_name() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let list = service.get("/api/v1/presets").await;
    assert_eq!(list.status, 200);
    let presets = list.body["presets"].as_array().unwrap();
    let names: Vec<_> = presets
        .iter()
        .map(|preset| preset["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["high_detail", "balanced", "performance", "simple_shapes"]
    );

    let body = json!({ "image_url": origin.url("/disc.png"), "preset": "balanced", "job_id": "j" });
    let answer = service.generate(&body).await;
    assert_eq!(answer.status, 202);
    assert!(answer.body.get("warnings").is_none(), "{answer:?}");
    service.ended("j").await;
    let result = service.result("j").await.body;
    assert_eq!(result["metadata"]["parameters"], presets[1]["parameters"]);

    let body = json!({ "image_url": origin.url("/disc.png"), "preset": "best" });
    let answer = service.generate(&body).await;
    assert_eq!(answer.status, 422);
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.contains(&names.join(", ")), "{message}");
}

#[tokio::test]
async fn parameters_are_checked_and_completed() {
    let service = TestService::start().await;
    let body = json!({
        "preset": "simple_shapes", "parameters": { "blur_kernel_size": 4, "gloss": 1 }, "note": 1,
    });
    let answer = validate(&service, &body).await;
    assert_eq!((answer.status, &answer.body["valid"]), (200, &json!(true)));
    let parameters = answer.body["parameters"].as_object().unwrap();
    assert_eq!(parameters.len(), 9);
    assert_eq!(parameters["blur_kernel_size"], 5);
    assert_eq!(parameters["concave_factor"], 10.0);
    let warnings = answer.body["warnings"].as_array().unwrap();
    let codes: Vec<_> = warnings.iter().map(|warning| &warning["code"]).collect();
    assert_eq!(codes, ["UNKNOWN_PARAMETER", "UNKNOWN_FIELD"]);

    let defaults = validate(&service, &json!({})).await;
    assert_eq!(defaults.body["parameters"]["detail_factor"], 0.01);
    assert_eq!(defaults.body["warnings"], json!([]));

    let body = json!({ "preset": 1, "parameters": { "detail_factor": 9, "alpha_threshold": -1 } });
    let answer = validate(&service, &body).await;
    assert_eq!((answer.status, &answer.body["valid"]), (200, &json!(false)));
    assert_eq!(answer.body["errors"].as_array().unwrap().len(), 3);
    assert_eq!(validate(&service, &json!([])).await.body["valid"], false);
    let request = service
        .request("POST", "/api/v1/parameters/validate")
        .body("{");
    assert_eq!(service.send(request).await.code(), "INVALID_JSON");
}
