//! `GET /openapi.json`: the description of the API, made of the types and handlers themselves.

mod errors;
mod schemas;

pub(super) use schemas::{
    BatchId, EventMessage, FieldError, Id, ImageUrl, NormalizedParameters, Parameters, PresetName,
    UploadRequest, WebUrl,
};

use super::Api;
use super::delete::ENDPOINTS;
use crate::settings::Settings;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;

/// The methods that an operation may have.
const METHODS: [&str; 3] = ["get", "post", "delete"];

#[derive(OpenApi)]
#[openapi(
    paths(health),
    components(schemas(errors::ErrorBody, errors::ErrorObject, FieldError, Id)),
    tags(
        (name = "jobs", description = "Images in, meshes out."),
        (name = "parameters", description = "What a mesh depends on beside its image."),
        (name = "service", description = "The service itself."),
    ),
)]
struct Described;

/// The service is alive.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what is made as JSON")]
struct HealthBody {
    /// `healthy`.
    #[schema(example = "healthy")]
    status: String,
    /// Of the service.
    #[schema(example = "1.0.0")]
    version: String,
    /// The service's time, UTC.
    #[schema(format = DateTime, example = "2025-01-08T10:00:00Z")]
    timestamp: String,
}

/// Whether the process is alive. Needs no key.
#[utoipa::path(
    get, path = "/health", tag = "service", operation_id = "health", security(()),
    responses((status = 200, description = "It is.", body = HealthBody)),
)]
#[allow(dead_code, reason = "describes the endpoint")]
fn health() {}

/// The description of the API with these settings, as `/openapi.json` has it.
#[must_use]
pub fn document(settings: &Settings) -> Value {
    describe(super::routes(), settings)
}

fn describe(routes: OpenApiRouter<Api>, settings: &Settings) -> Value {
    let described = OpenApiRouter::with_openapi(Described::openapi());
    let all = match settings.api_prefix.as_str() {
        "" => described.merge(routes),
        prefix => described.nest(prefix, routes),
    };
    // Maps of strings and numbers always serialize.
    let mut document = serde_json::to_value(all.into_openapi()).unwrap_or_default();
    document["info"] = info();
    document["security"] = json!([{}, { "bearer": [] }, { "key": [] }]);
    document["components"]["securitySchemes"] = security_schemes();
    document["components"]["schemas"]["BatchRequest"]["properties"]["images"]["maxItems"] =
        settings.max_batch_size.get().into();
    if let Some(paths) = document["paths"].as_object_mut() {
        add_named_jobs(paths, &settings.api_prefix);
        for (path, item) in paths {
            let parameters: Vec<_> = [("{job_id}", job_id()), ("{delivery_id}", delivery_id())]
                .into_iter()
                .filter_map(|(name, parameter)| path.contains(name).then_some(parameter))
                .collect();
            if !parameters.is_empty() {
                item["parameters"] = parameters.into();
            }
            let operations = METHODS.iter().filter_map(|method| {
                item.get(*method)?;
                Some(*method)
            });
            for method in operations.collect::<Vec<_>>() {
                complete(&mut item[method]);
            }
        }
    }
    document
}

/// Jobs that have the names of endpoints can be deleted, too.
fn add_named_jobs(paths: &mut Map<String, Value>, prefix: &str) {
    let delete = paths[&format!("{prefix}/mesh/{{job_id}}")]["delete"].clone();
    for name in ENDPOINTS {
        let mut delete = delete.clone();
        delete["operationId"] = format!("delete_job_{name}").into();
        delete["summary"] = format!("Forgets the job that is named `{name}`.").into();
        paths[&format!("{prefix}/mesh/{name}")]["delete"] = delete;
    }
}

fn info() -> Value {
    json!({
        "title": "spinelift-mesh",
        "version": env!("CARGO_PKG_VERSION"),
        "description": "Turns sprite images into 2D meshes. Jobs are accepted durably and run in \
            the background; their progress is polled, streamed, or sent to a callback URL. A \
            service with API_KEYS wants one with every request but health checks.",
        "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
    })
}

fn security_schemes() -> Value {
    json!({
        "bearer": { "type": "http", "scheme": "bearer", "description": "One of API_KEYS." },
        "key": {
            "type": "apiKey", "in": "header", "name": "X-API-Key",
            "description": "The same, for clients whose Authorization is somebody else's.",
        },
    })
}

fn delivery_id() -> Value {
    json!({
        "name": "delivery_id", "in": "path", "required": true,
        "description": "The delivery.",
        "schema": {
            "type": "string", "pattern": "^[A-Za-z0-9_]{1,64}$",
            "examples": ["msg_019ab3c2d4e57f0889a1b2c3d4e5f607"],
        },
    })
}

fn job_id() -> Value {
    json!({
        "name": "job_id", "in": "path", "required": true,
        "description": "The job, or the batch.",
        "schema": { "$ref": "#/components/schemas/JobId" },
    })
}

/// Adds what all operations have in common, and the errors of this one.
fn complete(operation: &mut Value) {
    let name = operation["operationId"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let parameters = operation["parameters"].as_array().cloned();
    let request_id = json!({
        "name": "X-Request-ID", "in": "header", "required": false,
        "description": "1 to 128 visible ASCII characters that come back with the answer and are in the log; \
            anything else is replaced.",
        "schema": { "type": "string" },
    });
    let declared = parameters.unwrap_or_default().into_iter();
    // Each path has its own, see above.
    let declared = declared.filter(|parameter| parameter["in"] != "path");
    operation["parameters"] = declared.chain([request_id]).collect();
    let mut responses = operation["responses"]
        .as_object()
        .cloned()
        .unwrap_or_default();
    errors::add(
        &mut responses,
        &name,
        operation.get("requestBody").is_some(),
    );
    for (status, response) in &mut responses {
        add_headers(status, response);
    }
    operation["responses"] = responses.into();
}

fn add_headers(status: &str, response: &mut Value) {
    let mut headers = response["headers"].as_object().cloned().unwrap_or_default();
    let mut add = |name: &str, description: &str, schema: Value| {
        let header = json!({ "description": description, "schema": schema, "required": true });
        headers.insert(name.to_owned(), header);
    };
    let text = || json!({ "type": "string" });
    add("X-Request-ID", "The id of the request.", text());
    match status {
        "429" | "503" => add(
            "Retry-After",
            "Seconds after which to try again.",
            json!({ "type": "integer", "minimum": 1 }),
        ),
        "401" => add("WWW-Authenticate", "`Bearer`.", text()),
        _ => {}
    }
    response["headers"] = headers.into();
}

/// The endpoint for a document that is made once.
pub(super) fn serve(document: &Value) -> axum::routing::MethodRouter<Api> {
    let body = Bytes::from(document.to_string());
    axum::routing::get(async || ([(CONTENT_TYPE, "application/json")], body).into_response())
}
