//! Requests that are wrong: everything that is wrong with them is said at once.

use crate::harness::{Origin, TestService};
use serde_json::{Value, json};

fn fields(body: &Value) -> Vec<&str> {
    let errors = body["error"]["details"]["errors"].as_array().unwrap();
    let fields = errors.iter().map(|error| error["field"].as_str().unwrap());
    let mut fields: Vec<_> = fields.collect();
    fields.sort_unstable();
    fields
}

#[tokio::test]
async fn all_mistakes_are_listed_with_field_value_and_message() {
    let service = TestService::start().await;
    let answer = service
        .generate(&json!({
            "image_url": "ftp://example.com/a.png",
            "parameters": { "detail_factor": 7, "alpha_threshold": "ten" },
            "callback_url": 5,
            "job_id": "a/b",
        }))
        .await;
    assert_eq!((answer.status, answer.code()), (422, "VALIDATION_ERROR"));
    assert_eq!(
        fields(&answer.body),
        [
            "callback_url",
            "image_url",
            "job_id",
            "parameters.alpha_threshold",
            "parameters.detail_factor"
        ]
    );
    for error in answer.body["error"]["details"]["errors"]
        .as_array()
        .unwrap()
    {
        assert!(error.get("value").is_some(), "{error}");
        assert!(
            error["message"].as_str().unwrap().contains("must"),
            "{error}"
        );
    }
    let factor = answer.body["error"]["details"]["errors"]
        .as_array()
        .unwrap()
        .iter()
        .find(|error| error["field"] == "parameters.detail_factor")
        .unwrap();
    assert_eq!(factor["value"], 7);
    assert_eq!(
        (&factor["minimum"], &factor["maximum"]),
        (&json!(0.001), &json!(0.05))
    );
}

#[tokio::test]
async fn each_field_is_checked() {
    let service = TestService::start().await;
    let good = "https://example.com/a.png";
    let long = format!("https://example.com/{}", "a".repeat(2048));
    let cases = [
        (json!({}), "image_url"),
        (json!({ "image_url": null }), "image_url"),
        (json!({ "image_url": 5 }), "image_url"),
        (json!({ "image_url": "" }), "image_url"),
        (json!({ "image_url": "/relative.png" }), "image_url"),
        (json!({ "image_url": "file:///etc/passwd" }), "image_url"),
        (
            json!({ "image_url": "data:image/png;base64,AA" }),
            "image_url",
        ),
        (json!({ "image_url": "http://" }), "image_url"),
        (json!({ "image_url": long }), "image_url"),
        (json!({ "image_url": good, "parameters": [] }), "parameters"),
        (
            json!({ "image_url": good, "callback_url": "mailto:a@b" }),
            "callback_url",
        ),
        (json!({ "image_url": good, "job_id": "" }), "job_id"),
        (json!({ "image_url": good, "job_id": 7 }), "job_id"),
        (json!({ "image_url": good, "job_id": ".." }), "job_id"),
        (
            json!({ "image_url": good, "job_id": "x".repeat(129) }),
            "job_id",
        ),
    ];
    for (body, field) in cases {
        let answer = service.generate(&body).await;
        assert_eq!(
            (answer.status, answer.code()),
            (422, "VALIDATION_ERROR"),
            "{body}"
        );
        assert_eq!(fields(&answer.body), [field], "{body}");
        assert!(
            answer.body.to_string().len() < 2000,
            "a long value is not sent back whole"
        );
    }
}

#[tokio::test]
async fn what_a_query_has_that_is_unknown_is_ignored_and_reported() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let image = json!({ "image_url": origin.url("/disc.png") });
    let body = json!({ "image_url": image["image_url"], "images": [image] });
    for (path, other) in [
        ("mesh/generate", "wait=60"),
        ("mesh/batch", "wait=60"),
        ("parameters/validate", ""),
    ] {
        let path = format!("/api/v1/{path}?format=spine&{other}&format=svg");
        let request = service
            .request("POST", &path)
            .header("content-type", "application/json")
            .body(body.to_string());
        let answer = service.send(request).await;
        assert!(matches!(answer.status, 200 | 202), "{path}: {answer:?}");
        let warnings = answer.body["warnings"].as_array().unwrap();
        let query = warnings
            .iter()
            .filter_map(|warning| warning["message"].as_str());
        let query: Vec<_> = query.filter(|message| message.contains("query")).collect();
        let mut expected = vec!["unknown query parameter `format` was ignored"];
        if path.contains("batch") {
            expected.push("unknown query parameter `wait` was ignored");
        }
        assert_eq!(query, expected, "{path}");
    }
}

#[tokio::test]
async fn what_is_unknown_is_ignored_and_reported() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let answer = service
        .generate(&json!({
            "image_url": origin.url("/disc.png"),
            "parameters": { "edge_threshold": 3, "max_triangles": 100 },
            "callback_url": null,
            "job_id": "a..b",
            "priority": "high",
        }))
        .await;
    assert_eq!(answer.status, 202);
    let warnings = answer.body["warnings"].as_array().unwrap();
    let codes: Vec<_> = warnings
        .iter()
        .map(|w| w["code"].as_str().unwrap())
        .collect();
    assert_eq!(
        codes,
        ["UNKNOWN_PARAMETER", "UNKNOWN_PARAMETER", "UNKNOWN_FIELD"]
    );
    assert!(
        warnings[2]["message"]
            .as_str()
            .unwrap()
            .contains("priority")
    );
    assert_eq!(service.ended("a..b").await["status"], "completed");
    assert_eq!(service.result("a..b").await.status, 200);
}

#[tokio::test]
async fn secrets_of_a_wrong_url_are_not_sent_back() {
    let service = TestService::start().await;
    let url = "http://user:hunter2@127.0.0.2/a.png?sig=hunter3";
    let answer = service.generate(&json!({ "image_url": url })).await;
    assert_eq!(answer.status, 422);
    assert!(
        !answer.body.to_string().contains("hunter"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn secrets_of_a_url_that_is_none_are_not_sent_back() {
    let service = TestService::start().await;
    let body = json!({ "image_url": "http://user:secret@h:99999/a.png?sig=secret" });
    let answer = service.generate(&body).await;
    assert_eq!(answer.status, 422);
    assert!(!answer.body.to_string().contains("secret"), "{answer:?}");
    assert_eq!(
        answer.body["error"]["details"]["errors"][0]["value"],
        "http://h:99999/a.png"
    );
}

#[tokio::test]
async fn long_values_are_not_repeated_in_full() {
    let service = TestService::start().await;
    let long = "x".repeat(100_000);
    for parameters in [
        json!({ "detail_factor": long }),
        json!({ "detail_factor": [long] }),
        json!([long]),
        json!(long),
    ] {
        let body = json!({ "image_url": "http://127.0.0.1:9/", "parameters": parameters });
        let answer = service.generate(&body).await;
        assert_eq!(answer.status, 422);
        let length = answer.body.to_string().len();
        assert!(length < 2000, "{length}");
    }
}

#[tokio::test]
async fn a_request_of_too_many_values_is_refused() {
    let service = TestService::start().await;
    let image = "http://127.0.0.1:9/";
    let many: Vec<_> = (0..10_000).map(|n| format!("\"f{n}\":0")).collect();
    let many = many.join(",");
    for body in [
        format!("{{\"image_url\":\"{image}\",{many}}}"),
        format!("{{\"image_url\":\"{image}\",\"parameters\":{{{many}}}}}"),
        format!("[{}0]", "0,".repeat(10_000)),
    ] {
        let request = service.request("POST", "/api/v1/mesh/generate").body(body);
        let answer = service.send(request).await;
        assert_eq!((answer.status, answer.code()), (422, "VALIDATION_ERROR"));
        assert_eq!(fields(&answer.body), ["body"]);
    }
}
