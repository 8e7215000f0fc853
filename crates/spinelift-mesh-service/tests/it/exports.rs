//! Results in other formats. What is in them is tested beside the library.

use crate::harness::raw_origin::{RawOrigin, whole};
use crate::harness::{Answer, Origin, TestService, disc};
use crate::upload::upload_to;
use serde_json::{Value, json};
use spinelift_mesh_service::ApiKeys;

async fn with_job(id: &str) -> TestService {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept(id, &origin.url("/disc.png")).await;
    service.ended(id).await;
    service
}

/// That gives images out.
async fn with_images() -> TestService {
    TestService::start_with(|settings| settings.result_images = true).await
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
        ("obj", "model/obj", "a_b.obj", "mtllib a=3Ab.png.mtl"),
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
            "must be one of json, spine, spine-3.8, svg, png, obj, gltf, godot",
        ),
        ("j/result?format=", "must be one of"),
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

/// The bytes of an answer with this status.
async fn bytes(service: &TestService, path: &str, status: u16) -> Vec<u8> {
    let response = service.request("GET", path).send().await.unwrap();
    assert_eq!(response.status().as_u16(), status, "{path}");
    response.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn what_has_the_image_in_it_is_made_of_the_same_image_again() {
    let (service, origin) = (with_images().await, Origin::start().await);
    service.accept("j", &origin.url("/disc.png")).await;
    service.ended("j").await;
    let before = origin.hits("/disc.png");
    let gltf = bytes(&service, "/api/v1/mesh/j/result?format=gltf", 200).await;
    assert!(gltf.starts_with(b"glTF"));
    let image = disc(32);
    assert!(gltf.windows(image.len()).any(|part| part == image));
    assert_eq!(origin.hits("/disc.png"), before + 1);
    let png = bytes(&service, "/api/v1/mesh/j/result?format=png", 200).await;
    let drawn = png::Decoder::new(std::io::Cursor::new(png));
    assert_eq!(drawn.read_info().unwrap().info().size(), (640, 640));
    // Nothing else asks for it.
    bytes(&service, "/api/v1/mesh/j/result?format=svg", 200).await;
    bytes(&service, "/api/v1/mesh/j/result", 200).await;
    assert_eq!(origin.hits("/disc.png"), before + 2);
}

#[tokio::test]
async fn a_head_is_that_of_the_file() {
    let service = with_job("j").await;
    for format in ["spine", "obj"] {
        let path = format!("/api/v1/mesh/j/result?format={format}");
        let found = service.get(&path).await.headers;
        let head = service.request("HEAD", &path).send().await.unwrap();
        assert_eq!(head.status(), 200);
        for name in [
            "content-type",
            "content-disposition",
            "content-length",
            "etag",
        ] {
            assert_eq!(head.headers()[name], found[name], "{format} {name}");
        }
        assert!(head.bytes().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_signed_url_is_good_for_every_format() {
    let key = "a-key-for-rails-app";
    let origin = Origin::start().await;
    let service = TestService::start_with(|settings| {
        settings.api_keys = ApiKeys::parse(key).unwrap();
        settings.result_images = true;
    })
    .await;
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" });
    let request = service.request("POST", "/api/v1/mesh/generate?wait=60");
    let answer = service
        .send(request.bearer_auth(key).body(body.to_string()))
        .await;
    let url = answer.body["result_url"].as_str().unwrap();
    let path = url.strip_prefix(&service.base).unwrap();
    for format in ["spine", "png"] {
        bytes(&service, &format!("{path}&format={format}"), 200).await;
    }
    bytes(&service, "/api/v1/mesh/j/result?format=svg", 401).await;
}

#[tokio::test]
async fn an_uploaded_image_is_not_there_for_a_format() {
    let service = with_images().await;
    let answer = upload_to(
        &service,
        "?wait=60",
        &[("file", &disc(32)), ("job_id", b"j")],
    )
    .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    for format in ["png", "gltf"] {
        let answer = service
            .get(&format!("/api/v1/mesh/j/result?format={format}"))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (422, "FORMAT_NOT_POSSIBLE"),
            "{answer:?}"
        );
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(
            message.contains("spine, spine-3.8, svg, obj, godot"),
            "{message}"
        );
    }
    bytes(&service, "/api/v1/mesh/j/result?format=spine", 200).await;
}

/// What `?format=png` answers when the image is asked for a second time.
async fn drawn(service: &TestService, origin: &RawOrigin, path: &str) -> Answer {
    let id = path.trim_start_matches('/');
    service.accept(id, &origin.url(path)).await;
    assert_eq!(service.ended(id).await["status"], "completed");
    let path = format!("/api/v1/mesh/{id}/result?format=png");
    service.get(&path).await
}

#[tokio::test]
async fn an_image_that_is_gone_or_another_is_told() {
    let origin = RawOrigin::start(|request, before| match (before, &*request.path) {
        (0, _) => whole(200, "", &disc(32)),
        (_, "/gone") => whole(404, "", b""),
        (_, "/text") => whole(200, "", b"<html>no image at all, but a page</html>"),
        // Of the same size.
        (_, "/other") => {
            let mut other = disc(32);
            other.push(0);
            whole(200, "", &other)
        }
        (_, "/larger") => whole(200, "", &disc(33)),
        _ => whole(200, "", &disc(32)),
    })
    .await;
    let service = with_images().await;
    assert_eq!(drawn(&service, &origin, "/same").await.status, 200);
    for path in ["/other", "/larger"] {
        let answer = drawn(&service, &origin, path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (409, "IMAGE_CHANGED"),
            "{path}"
        );
    }
    for (path, reason) in [("/gone", "http_status"), ("/text", "unknown_format")] {
        let answer = drawn(&service, &origin, path).await;
        assert_eq!(
            (answer.status, answer.code()),
            (502, "IMAGE_LOAD_FAILED"),
            "{path}"
        );
        assert_eq!(answer.body["error"]["details"]["reason"], reason);
    }
}

#[tokio::test]
async fn an_image_is_loaded_again_by_the_rules_of_now() {
    let service = with_job("j").await;
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |settings| {
        settings.allowed_private_hosts = Vec::new();
        settings.result_images = true;
    })
    .await;
    let answer = service.get("/api/v1/mesh/j/result?format=png").await;
    assert_eq!(
        (answer.status, answer.code()),
        (502, "IMAGE_LOAD_FAILED"),
        "{answer:?}"
    );
    let details = &answer.body["error"]["details"];
    assert_eq!(details["reason"], "address_not_allowed");
    bytes(&service, "/api/v1/mesh/j/result?format=spine", 200).await;
}

#[tokio::test]
async fn images_are_given_out_only_where_the_operator_says_so() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/disc.png")).await;
    service.ended("j").await;
    let before = origin.hits("/disc.png");
    for format in ["png", "gltf"] {
        let answer = service
            .get(&format!("/api/v1/mesh/j/result?format={format}"))
            .await;
        assert_eq!(
            (answer.status, answer.code()),
            (422, "FORMAT_NOT_POSSIBLE"),
            "{answer:?}"
        );
        let message = answer.body["error"]["message"].as_str().unwrap();
        assert!(message.contains("RESULT_IMAGES"), "{message}");
        assert!(
            message.contains("json, spine, spine-3.8, svg, obj, godot"),
            "{message}"
        );
    }
    assert_eq!(origin.hits("/disc.png"), before);
}
