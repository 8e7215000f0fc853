//! The description of the API, and the page that shows it.

use crate::harness::TestService;
use serde_json::{Value, json};
use spinelift_mesh::MeshParameters;
use spinelift_mesh::parameters::{OptionKind, OptionSpec};
use spinelift_mesh_service::{Settings, openapi_document};
use std::collections::BTreeSet;

/// All references in a document.
fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[tokio::test]
async fn the_description_is_served_with_the_prefix_and_bounds_of_the_settings() {
    let change = |settings: &mut Settings| {
        settings.api_prefix = "/custom/v2".into();
        settings.max_batch_size = 7.try_into().unwrap();
    };
    let service = TestService::start_with(change).await;
    let answer = service.get("/openapi.json").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    let mut settings = Settings::default();
    change(&mut settings);
    assert_eq!(answer.body, openapi_document(&settings));
    assert!(answer.body["paths"]["/custom/v2/mesh/generate"]["post"].is_object());
    let schemas = &answer.body["components"]["schemas"];
    assert_eq!(
        schemas["BatchRequest"]["properties"]["images"]["maxItems"],
        7
    );
}

#[test]
fn every_reference_leads_somewhere() {
    let document = openapi_document(&Settings::default());
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

#[test]
fn parameters_have_the_ranges_of_the_library() {
    let document = openapi_document(&Settings::default());
    let schemas = &document["components"]["schemas"];
    for spec in &spinelift_mesh::parameters::PARAMETERS {
        for schema in ["Parameters", "NormalizedParameters", "UploadRequest"] {
            let described = &schemas[schema]["properties"][spec.name];
            assert_eq!(
                described["minimum"].as_f64(),
                Some(spec.minimum),
                "{}",
                spec.name
            );
            assert_eq!(
                described["maximum"].as_f64(),
                Some(spec.maximum),
                "{}",
                spec.name
            );
            assert_eq!(
                described["default"].as_f64(),
                Some(spec.default),
                "{}",
                spec.name
            );
        }
    }
    for spec in &spinelift_mesh::parameters::OPTIONS {
        let pointer = format!("/{}", spec.path().replace('.', "/properties/"));
        for schema in ["Parameters", "NormalizedParameters"] {
            let properties = &schemas[schema]["properties"];
            let described = properties.pointer(&pointer).unwrap();
            check_option(described, spec);
        }
        check_option(&schemas["UploadRequest"]["properties"][spec.path()], spec);
    }
    let required = schemas["NormalizedParameters"]["required"]
        .as_array()
        .unwrap();
    assert_eq!(required.len(), 9);
}

fn check_option(described: &Value, spec: &OptionSpec) {
    let path = spec.path();
    match spec.kind {
        OptionKind::Choice(words) => {
            let expected = words.iter().map(|word| json!(word)).chain([Value::Null]);
            assert_eq!(described["enum"], expected.collect::<Value>(), "{path}");
        }
        OptionKind::Integer { minimum, maximum } | OptionKind::Number { minimum, maximum } => {
            assert_eq!(described["minimum"].as_f64(), Some(minimum), "{path}");
            assert_eq!(described["maximum"].as_f64(), Some(maximum), "{path}");
            let example = described["examples"][0].as_f64().unwrap();
            assert!((minimum..=maximum).contains(&example), "{path}");
        }
    }
}

/// The description of a result names what is in one.
#[test]
fn a_mesh_is_described_as_it_is() {
    let image = include_bytes!("../../../../assets/samples/rocket.png");
    let mesh = spinelift_mesh::generate(
        image,
        &MeshParameters::COVER,
        &spinelift_mesh::Limits::DEFAULT,
        &mut (),
    );
    let mut mesh = mesh.unwrap();
    mesh.islands = vec![mesh.clone()];
    let mesh = serde_json::to_value(mesh).unwrap();
    let document = openapi_document(&Settings::default());
    let schemas = &document["components"]["schemas"];
    let names = |value: &Value| {
        let names = value.as_object().unwrap().keys().cloned();
        names.collect::<BTreeSet<_>>()
    };
    for (schema, value) in [
        ("Mesh", &mesh),
        ("Metadata", &mesh["metadata"]),
        ("Quality", &mesh["metadata"]["quality"]),
    ] {
        let described = &schemas[schema]["properties"];
        assert_eq!(names(described), names(value), "{schema}");
    }
}

/// What is described is there, and what a client gets for a job nobody knows is described.
#[tokio::test]
async fn every_operation_is_answered_as_described() {
    let service = TestService::start().await;
    let document = openapi_document(&Settings::default());
    let mut operations = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for method in ["get", "post", "delete"] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            operations += 1;
            let path = path.replace("{job_id}", "unknown");
            let path = path.replace("{delivery_id}", "msg_unknown");
            let request = service.request(&method.to_uppercase(), &path);
            let answer = service.send(request).await;
            assert_ne!(answer.code(), "NOT_FOUND", "{method} {path}");
            let described = &operation["responses"][answer.status.to_string()];
            assert!(described.is_object(), "{method} {path}: {}", answer.status);
            if answer.status >= 400 {
                let text = described["description"].as_str().unwrap();
                assert!(text.contains(answer.code()), "{method} {path}: {text}");
            }
        }
    }
    assert_eq!(operations, 17);
    assert_eq!(document["openapi"], json!("3.1.0"));
}

#[tokio::test]
async fn the_page_brings_all_it_needs_and_may_do_no_more() {
    let service = TestService::start().await;
    let response = service.request("GET", "/docs").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"]
        .to_str()
        .unwrap()
        .to_owned();
    assert!(policy.contains("script-src 'self';"), "{policy}");
    let page = response.text().await.unwrap();
    assert!(!page.contains("http"), "{page}");
    let links = page
        .split(['"', '\''])
        .filter(|text| text.starts_with("docs/"));
    let links: Vec<_> = links.map(str::to_owned).collect();
    assert!(links.len() >= 5, "{page}");
    for link in links {
        let response = service
            .request("GET", &format!("/{link}"))
            .send()
            .await
            .unwrap();
        assert_eq!(response.status(), 200, "{link}");
        let kind = response.headers()["content-type"]
            .to_str()
            .unwrap()
            .to_owned();
        assert_ne!(kind, "application/json", "{link}");
    }
    let script = service
        .request("GET", "/docs/swagger-initializer.js")
        .send()
        .await
        .unwrap();
    let script = script.text().await.unwrap();
    assert!(script.contains("\"openapi.json\""), "{script}");
    assert_eq!(service.get("/docs/nothing.js").await.code(), "NOT_FOUND");
    let moved = service.request("GET", "/docs/").send().await.unwrap();
    assert_eq!(moved.url().path(), "/docs");
    let health = service.get("/health").await;
    assert!(
        !health.headers["content-security-policy"]
            .to_str()
            .unwrap()
            .contains("script-src")
    );
}
