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
    let expected = [
        "high_detail",
        "balanced",
        "performance",
        "simple_shapes",
        "full_coverage",
        "full_coverage_bend",
    ];
    assert_eq!(names, expected);

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
async fn optional_parameters_are_checked_and_completed() {
    let service = TestService::start().await;
    let body = json!({
        "preset": "full_coverage",
        "parameters": { "outline": { "max_vertices": 8, "gloss": 1 }, "deadline_ms": 50 },
    });
    let answer = validate(&service, &body).await;
    assert_eq!(answer.body["valid"], true, "{answer:?}");
    let parameters = &answer.body["parameters"];
    let outline = &parameters["outline"];
    assert_eq!(parameters["alpha_threshold"], 1);
    let expected = json!({
        "mode": "cover", "max_vertices": 8, "padding": 0.5, "islands": "bridge",
        "symmetry": "none",
    });
    assert_eq!(*outline, expected);
    assert_eq!(parameters["deadline_ms"], 50);
    let warnings = answer.body["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["code"], "UNKNOWN_PARAMETER");
    let message = warnings[0]["message"].as_str().unwrap();
    assert!(message.contains("outline.gloss"), "{message}");

    let body = json!({ "parameters": { "outline": { "max_vertices": 8 } } });
    let answer = validate(&service, &body).await;
    let warnings = &answer.body["warnings"];
    assert_eq!(warnings[0]["code"], "PARAMETER_WITHOUT_EFFECT");
}

#[tokio::test]
async fn every_mistake_in_optional_parameters_is_told_with_its_path() {
    let service = TestService::start().await;
    let parameters = json!({
        "outline": { "mode": "round", "max_vertices": 3, "padding": "wide" },
        "interior": [], "deadline_ms": 600_001, "detail_factor": 7,
    });
    let answer = validate(&service, &json!({ "parameters": parameters })).await;
    let errors = answer.body["errors"].as_array().unwrap();
    let mut fields: Vec<_> = errors
        .iter()
        .map(|error| error["field"].as_str().unwrap())
        .collect();
    fields.sort_unstable();
    let expected = [
        "parameters.deadline_ms",
        "parameters.detail_factor",
        "parameters.interior",
        "parameters.outline.max_vertices",
        "parameters.outline.mode",
        "parameters.outline.padding",
    ];
    assert_eq!(fields, expected);
    let find = |field: &str| errors.iter().find(|error| error["field"] == field).unwrap();
    let mode = find("parameters.outline.mode");
    assert_eq!(mode["allowed"], json!(["reference", "cover"]));
    let most = find("parameters.outline.max_vertices");
    assert_eq!(
        (&most["minimum"], &most["maximum"]),
        (&json!(4.0), &json!(256.0))
    );
}

#[tokio::test]
async fn a_cover_is_made_and_cached_by_its_parameters() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let job = |id: &str, parameters: Value| json!({ "image_url": origin.url("/disc.png"), "job_id": id, "parameters": parameters });
    let cover = |most: u32| json!({ "outline": { "mode": "cover", "max_vertices": most } });
    for (id, parameters, cached) in [
        ("reference", json!({}), false),
        ("eight", cover(8), false),
        ("eight-again", cover(8), true),
        ("six", cover(6), false),
        (
            "as-ever",
            json!({ "outline": { "mode": "reference" } }),
            true,
        ),
    ] {
        let answer = service.generate(&job(id, parameters)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let status = service.ended(id).await;
        assert_eq!(status["status"], "completed", "{status}");
        assert_eq!(status["cached"] == true, cached, "{id}");
    }
    let mesh = service.result("eight").await.body;
    assert!(mesh["vertices"].as_array().unwrap().len() <= 8);
    assert_eq!(mesh["metadata"]["quality"]["pixels_cut"], 0);
    assert_eq!(mesh["metadata"]["parameters"]["outline"]["max_vertices"], 8);
    let reference = service.result("as-ever").await.body;
    assert!(reference["metadata"]["parameters"].get("outline").is_none());
    assert!(reference.get("islands").is_none());
}

#[tokio::test]
async fn a_result_that_was_cut_short_is_for_its_job_alone() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let job = |id: &str, deadline: Value| {
        json!({
            "image_url": origin.url("/disc.png"), "job_id": id,
            "parameters": { "outline": { "mode": "cover" }, "deadline_ms": deadline },
        })
    };
    let mesh = async |id: &str, deadline: Value, cached: bool| {
        let answer = service.generate(&job(id, deadline)).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        let status = service.ended(id).await;
        assert_eq!(status["cached"] == true, cached, "{id}: {status}");
        service.result(id).await.body
    };
    // No time at all is always too little.
    for id in ["cut", "cut-again"] {
        let cut = mesh(id, json!(0), false).await;
        assert_eq!(cut["metadata"]["warnings"][0]["code"], "TIME_WAS_UP");
        assert_eq!(cut["metadata"]["quality"]["pixels_cut"], 0);
    }
    let whole = mesh("whole", json!(null), false).await;
    assert_eq!(whole["metadata"]["warnings"], json!([]));
    // What is there already takes no time.
    assert_eq!(mesh("late", json!(0), true).await, whole);
    assert_eq!(mesh("patient", json!(600_000), true).await, whole);
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
