//! Results in other formats. What is in them is tested beside the library.

use crate::harness::{Origin, TestService};
use serde_json::{Value, json};

async fn with_job(id: &str) -> TestService {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept(id, &origin.url("/disc.png")).await;
    service.ended(id).await;
    service
}

/// Status, type, name and text of an answer.
async fn fetch(service: &TestService, path: &str) -> (u16, String, String, String) {
    let response = service.request("GET", path).send().await.unwrap();
    let header = |name: &str| {
        let value = response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap()).to_owned()
    };
    let (status, kind, name) = (
        response.status().as_u16(),
        header("content-type"),
        header("content-disposition"),
    );
    (status, kind, name, response.text().await.unwrap())
}

#[tokio::test]
async fn a_result_comes_in_the_format_that_is_asked_for() {
    let service = with_job("a:b").await;
    let result = "/api/v1/mesh/a:b/result";
    let plain = fetch(&service, result).await;
    assert_eq!(
        (plain.0, &*plain.1, &*plain.2),
        (200, "application/json", "")
    );
    assert_eq!(
        fetch(&service, &format!("{result}?format=json")).await,
        plain
    );
    let cases = [
        (
            "spine",
            "application/json",
            "a_b.spine.json",
            "{\"skeleton\":{\"spine\":\"4.2",
        ),
        (
            "spine-3.8",
            "application/json",
            "a_b.spine-3.8.json",
            "{\"skeleton\":{\"spine\":\"3.8",
        ),
        ("svg", "image/svg+xml", "a_b.svg", "<svg"),
        ("obj", "model/obj", "a_b.obj", "mtllib a_b.mtl"),
        (
            "godot",
            "text/plain; charset=utf-8",
            "a_b.tscn",
            "[gd_scene",
        ),
    ];
    for (format, kind, name, start) in cases {
        let found = fetch(&service, &format!("{result}?format={format}")).await;
        assert_eq!((found.0, &*found.1), (200, kind), "{format}");
        assert_eq!(found.2, format!("attachment; filename=\"{name}\""));
        assert!(found.3.starts_with(start), "{}", found.3);
    }
    // The mesh is the same.
    let mesh: Value = serde_json::from_str(&plain.3).unwrap();
    let spine: Value =
        serde_json::from_str(&fetch(&service, &format!("{result}?format=spine")).await.3).unwrap();
    let attachment = &spine["skins"][0]["attachments"]["a_b"]["a_b"];
    let list = |value: &Value| value.as_array().unwrap().len();
    assert_eq!(list(&attachment["uvs"]), 2 * list(&mesh["vertices"]));
    assert_eq!(list(&attachment["triangles"]), 3 * list(&mesh["triangles"]));
}

#[tokio::test]
async fn each_format_has_a_tag_of_its_own() {
    let service = with_job("j").await;
    let tag = async |format: &str| {
        let path = format!("/api/v1/mesh/j/result?format={format}");
        let answer = service.get(&path).await;
        assert_eq!(answer.status, 200);
        let tag = answer.headers["etag"].to_str().unwrap().to_owned();
        let request = service.request("GET", &path).header("if-none-match", &tag);
        assert_eq!(service.send(request).await.status, 304);
        tag
    };
    assert_ne!(tag("svg").await, tag("obj").await);
    assert_ne!(tag("json").await, tag("spine").await);
}

#[tokio::test]
async fn a_format_that_is_not_offered_is_told() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let url = origin.url("/disc.png");
    let batch = json!({ "batch_id": "all", "images": [{ "image_url": url }] });
    let request = service.request("POST", "/api/v1/mesh/batch");
    assert_eq!(
        service.send(request.body(batch.to_string())).await.status,
        202
    );
    service.accept("j", &url).await;
    service.ended("j").await;
    for (path, said) in [
        (
            "j/result?format=fbx",
            "must be one of json, spine, spine-3.8, svg, obj, godot",
        ),
        ("j/result?format=", "must be one of"),
        (
            "j/result?format=png",
            "needs the image, which the service does not keep",
        ),
        (
            "j/result?format=gltf",
            "needs the image, which the service does not keep",
        ),
        ("j/result?format=svg&format=obj", "must be given once"),
        ("all/result?format=svg", "is for the result of a job"),
    ] {
        let answer = service.get(&format!("/api/v1/mesh/{path}")).await;
        assert_eq!(
            (answer.status, answer.code()),
            (422, "VALIDATION_ERROR"),
            "{path}"
        );
        let error = &answer.body["error"]["details"]["errors"][0];
        assert_eq!(error["field"], "format");
        assert!(error["message"].as_str().unwrap().contains(said), "{error}");
    }
    let unfinished = service.get("/api/v1/mesh/none/result?format=svg").await;
    assert_eq!(
        (unfinished.status, unfinished.code()),
        (404, "JOB_NOT_FOUND")
    );
}
