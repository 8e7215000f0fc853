//! Many images at once.

use crate::harness::{Answer, Origin, TestService};
use serde_json::{Value, json};

async fn batch(service: &TestService, body: &Value) -> Answer {
    let request = service.request("POST", "/api/v1/mesh/batch");
    service.send(request.body(body.to_string())).await
}

fn fields(body: &Value) -> Vec<&str> {
    let errors = body["error"]["details"]["errors"].as_array().unwrap();
    let fields = errors.iter().map(|error| error["field"].as_str().unwrap());
    fields.collect()
}

#[tokio::test]
async fn options_of_a_batch_lie_below_those_of_its_images() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let url = origin.url("/disc.png");
    let body = json!({
        "batch_id": "c",
        "parameters": { "outline": { "mode": "cover", "max_vertices": 8 }, "deadline_ms": 600_000 },
        "images": [
            { "image_url": url },
            { "image_url": url, "parameters": { "outline": { "padding": 2 } } },
            { "image_url": url, "preset": "full_coverage_bend" },
        ],
    });
    let answer = batch(&service, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert!(answer.body.get("warnings").is_none(), "{answer:?}");
    service.ended("c").await;
    for (id, padding, interior) in [("c-1", 0.0, false), ("c-2", 2.0, false), ("c-3", 0.5, true)] {
        let mesh = service.result(id).await.body;
        let parameters = &mesh["metadata"]["parameters"];
        assert_eq!(parameters["outline"]["mode"], "cover", "{id}");
        assert_eq!(parameters["outline"]["max_vertices"], 8, "{id}");
        assert_eq!(parameters["outline"]["padding"], padding, "{id}");
        assert_eq!(parameters.get("interior").is_some(), interior, "{id}");
    }

    let body = json!({
        "parameters": { "interior": { "vertices": 1 } },
        "images": [{ "image_url": url, "parameters": { "outline": { "islands": "all" } } }],
    });
    let answer = batch(&service, &body).await;
    let expected = [
        "parameters.interior.vertices",
        "images[0].parameters.outline.islands",
    ];
    assert_eq!(fields(&answer.body), expected);
}

#[tokio::test]
async fn a_batch_goes_from_request_to_results() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let body = json!({
        "batch_id": "b",
        "preset": "balanced",
        "parameters": { "alpha_threshold": 7 },
        "images": [
            { "image_url": origin.url("/disc.png") },
            { "image_url": origin.url("/clear.png"), "job_id": "own" },
            {
                "image_url": origin.url("/disc.png"), "preset": "performance",
                "parameters": { "detail_factor": 0.05 },
            },
        ],
    });
    let answer = batch(&service, &body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["batch_id"], "b");
    assert_eq!(answer.body["job_id"], "b");
    assert_eq!(answer.body["status"], "processing");
    assert_eq!(answer.body["count"], 3);
    assert_eq!(answer.body["jobs"], json!(["b-1", "own", "b-3"]));
    assert!(answer.body["estimated_time"].is_u64());

    let ended = service.ended("b").await;
    assert_eq!(ended["status"], "completed");
    assert_eq!(ended["progress"], 100);
    assert_eq!(ended["message"], "3 of 3 images done, 1 failed");
    let counts = json!({ "total": 3, "completed": 2, "failed": 1 });
    assert_eq!(ended["counts"], counts);
    assert_eq!(
        ended["result_url"],
        format!("{}/api/v1/mesh/b/result", service.base)
    );
    let results = service.result("b").await.body;
    assert_eq!(results[0]["job_id"], "b-1");
    assert_eq!(
        results[0]["result_url"],
        format!("{}/api/v1/mesh/b-1/result", service.base)
    );
    assert_eq!(results[1]["status"], "failed");
    assert_eq!(results[1]["error"]["code"], "CONTOUR_EXTRACTION_FAILED");
    assert_eq!(results[2]["job_id"], "b-3");
    assert_eq!(service.status("own").await.body["batch_id"], "b");

    // An image's parameters lie over the batch's, and they over the preset.
    let first = service.result("b-1").await.body["metadata"]["parameters"].clone();
    assert_eq!(first["alpha_threshold"], 7);
    assert_eq!(first["detail_factor"], 0.03);
    let third = service.result("b-3").await.body["metadata"]["parameters"].clone();
    assert_eq!(third["alpha_threshold"], 7);
    assert_eq!(third["detail_factor"], 0.05);
    assert_eq!(third["internal_vertex_density"], 0);

    let again = batch(&service, &body).await;
    assert_eq!(
        (again.status, &again.body["status"]),
        (202, &json!("completed"))
    );
    let list = service.get("/api/v1/mesh?batch=b").await.body;
    assert_eq!(list["jobs"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn mistakes_name_the_image_they_are_in() {
    let service = TestService::start().await;
    let good = "http://127.0.0.1:9/a.png";
    let answer = batch(
        &service,
        &json!({
            "batch_id": "b",
            "callback_url": 1,
            "images": [
                { "image_url": good, "job_id": "same" },
                { "image_url": "ftp://a/b" },
                5,
                { "parameters": { "detail_factor": 9 }, "preset": "best" },
                { "image_url": good, "job_id": "same" },
                { "image_url": good, "job_id": "b" },
            ],
        }),
    )
    .await;
    assert_eq!((answer.status, answer.code()), (422, "VALIDATION_ERROR"));
    let mut found = fields(&answer.body);
    found.sort_unstable();
    let expected = [
        "callback_url",
        "images[1].image_url",
        "images[2]",
        "images[3].image_url",
        "images[3].parameters.detail_factor",
        "images[3].preset",
        "images[4].job_id",
        "images[5].job_id",
    ];
    assert_eq!(found, expected);
    for (images, id, field) in [
        (json!(null), "b", "images"),
        (json!([]), "b", "images"),
        (json!("x"), "b", "images"),
        (
            json!([{ "image_url": good }]),
            &*"x".repeat(123),
            "batch_id",
        ),
        (json!([{ "image_url": good }]), "a/b", "batch_id"),
    ] {
        let answer = batch(&service, &json!({ "batch_id": id, "images": images })).await;
        assert_eq!(answer.status, 422, "{images}");
        assert_eq!(fields(&answer.body), [field], "{images}");
    }
}

#[tokio::test]
async fn a_full_batch_passes_and_one_more_image_does_not() {
    let origin = Origin::start().await;
    let service = TestService::start().await;
    let image = json!({
        "image_url": origin.url("/missing.png"), "preset": "balanced",
        "parameters": {
            "detail_factor": 0.01, "alpha_threshold": 10, "concave_factor": 0,
            "internal_vertex_density": 0, "blur_kernel_size": 1, "binary_threshold": 128,
            "min_contour_area": 10, "density_scaling_factor": 1000, "min_triangle_area": 1,
            "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8,
            "nine": 9, "ten": 10,
        },
    });
    let answer = batch(&service, &json!({ "images": vec![image.clone(); 501] })).await;
    assert_eq!(fields(&answer.body), ["images"]);
    let message = answer.body["error"]["message"].as_str().unwrap();
    assert!(message.contains("MAX_BATCH_SIZE"), "{message}");
    let answer = batch(&service, &json!({ "images": vec![image; 500] })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["warnings"].as_array().unwrap().len(), 50);
    let id = answer.body["batch_id"].as_str().unwrap();
    assert_eq!(service.ended(id).await["counts"]["failed"], 500);
    assert_eq!(service.result(id).await.body.as_array().unwrap().len(), 500);
}

#[tokio::test]
async fn a_batch_is_followed_cancelled_and_deleted_by_its_id() {
    let origin = Origin::start().await;
    let service =
        TestService::start_with(|s| s.max_concurrent_downloads = 1.try_into().unwrap()).await;
    let disc = origin.url("/disc.png");
    let hang = origin.url("/hang.png");
    let images = json!([{ "image_url": disc }, { "image_url": hang }, { "image_url": disc }]);
    batch(&service, &json!({ "batch_id": "b", "images": images })).await;
    service.running("b-2").await;
    let running = service.status("b").await.body;
    assert_eq!(
        (&running["status"], &running["progress"]),
        (&json!("processing"), &json!(33))
    );
    assert!(running.get("result_url").is_none());
    let request = service.request("GET", "/api/v1/mesh/b/events");
    let following = tokio::spawn(async { request.send().await.unwrap().text().await.unwrap() });
    let refused = service
        .send(service.request("DELETE", "/api/v1/mesh/b"))
        .await;
    assert_eq!(refused.code(), "JOB_NOT_FINISHED");
    let cancelled = service
        .send(service.request("POST", "/api/v1/mesh/b/cancel"))
        .await;
    assert_eq!(cancelled.body["cancelled"], true);
    let counts = json!({ "total": 3, "completed": 1, "failed": 2 });
    assert_eq!(cancelled.body["counts"], counts);
    let events = following.await.unwrap();
    assert!(events.contains("event: end"), "{events}");
    assert!(events.contains("2 failed"), "{events}");
    let gone = service
        .send(service.request("DELETE", "/api/v1/mesh/b"))
        .await;
    assert_eq!(gone.status, 204);
    for id in ["b", "b-1", "b-2", "b-3"] {
        assert_eq!(service.status(id).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn the_events_of_a_batch_have_counts() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let images = json!([{ "image_url": origin.url("/gated.png") }]);
    batch(&service, &json!({ "batch_id": "b", "images": images })).await;
    let request = service.request("GET", "/api/v1/mesh/b/events");
    let mut response = request.send().await.unwrap();
    let mut text = String::new();
    let expected = json!({
        "job_id": "b", "progress": 0, "message": "0 of 1 images done",
        "counts": { "total": 1, "completed": 0, "failed": 0 },
    });
    while let Some(chunk) = response.chunk().await.unwrap() {
        text.push_str(std::str::from_utf8(&chunk).unwrap());
        origin.open_gate();
    }
    let bodies: Vec<Value> = text
        .lines()
        .filter_map(|line| serde_json::from_str(line.strip_prefix("data:")?).ok())
        .collect();
    assert_eq!(bodies[0], expected);
    assert_eq!(*bodies.last().unwrap(), service.status("b").await.body);
}

#[tokio::test]
async fn an_id_is_of_a_job_or_of_a_batch() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("taken", &origin.url("/disc.png")).await;
    let image = json!({ "image_url": origin.url("/disc.png") });
    for body in [
        json!({ "batch_id": "taken", "images": [image] }),
        json!({ "images": [{ "image_url": origin.url("/disc.png"), "job_id": "taken" }] }),
    ] {
        let answer = batch(&service, &body).await;
        assert_eq!((answer.status, answer.code()), (409, "JOB_ID_CONFLICT"));
        assert_eq!(answer.body["error"]["details"]["job_id"], "taken");
    }
    batch(&service, &json!({ "batch_id": "b", "images": [image] })).await;
    let other = batch(
        &service,
        &json!({ "batch_id": "b", "images": [image, image] }),
    )
    .await;
    assert_eq!(other.status, 409);
}

#[tokio::test]
async fn parameters_of_a_batch_are_read_once_for_all_of_its_images() {
    let service = TestService::start().await;
    let mut parameters: serde_json::Map<String, Value> =
        (0..20_000).map(|n| (format!("u{n}"), json!(0))).collect();
    parameters.insert("alpha_threshold".into(), json!(7));
    let images: Vec<_> = (0..500)
        .map(|n| match n % 2 {
            0 => json!({ "image_url": "http://127.0.0.1:9/" }),
            _ => json!({ "image_url": "http://127.0.0.1:9/", "preset": "performance" }),
        })
        .collect();
    let body = json!({ "batch_id": "b", "parameters": parameters, "images": images });
    let answer = batch(&service, &body).await;
    assert_eq!((answer.status, &answer.body["count"]), (202, &json!(500)));
    let warnings = answer.body["warnings"].as_array().unwrap();
    assert_eq!(warnings.len(), 50);
    assert_eq!(warnings[0]["code"], "UNKNOWN_PARAMETER");
}

#[tokio::test]
async fn a_document_has_a_bound_of_its_own_that_a_full_batch_fits_into() {
    let service = TestService::start().await;
    let url = format!("http://127.0.0.1:9/{}", "x".repeat(2048 - 19));
    assert_eq!(url.len(), 2048);
    let image = json!({
        "image_url": url, "job_id": "x".repeat(120), "preset": "high_detail",
        "parameters": {
            "detail_factor": 0.0123456789, "alpha_threshold": 10, "concave_factor": 0.123456789,
            "internal_vertex_density": 100, "blur_kernel_size": 21, "binary_threshold": 128,
            "min_contour_area": 123.456789, "density_scaling_factor": 1234.56789,
            "min_triangle_area": 12.3456789,
        },
    });
    let images: Vec<_> = (0..500)
        .map(|n| {
            let mut image = image.clone();
            image["job_id"] = json!(format!("{n:0>120}"));
            image
        })
        .collect();
    let body = serde_json::to_string_pretty(&json!({ "images": images })).unwrap();
    let request = service.request("POST", "/api/v1/mesh/batch").body(body);
    assert_eq!(service.send(request).await.status, 202);

    let body = " ".repeat((4 << 20) + 1);
    for path in ["mesh/generate", "mesh/batch", "parameters/validate"] {
        let request = service.request("POST", &format!("/api/v1/{path}"));
        let answer = service.send(request.body(body.clone())).await;
        assert_eq!((answer.status, answer.code()), (413, "PAYLOAD_TOO_LARGE"));
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("MAX_JSON_SIZE"), "{message}");
    }
}
