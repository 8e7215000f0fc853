//! `GET …/mesh/{job_id}/result`: the mesh, or the meshes of a batch.

use super::mesh::Mesh;
use super::openapi::Id;
use super::status::Status;
use super::{Api, Named, export, not_found};
use crate::engine::Filter;
use crate::error::ApiError;
use crate::job::{Job, JobError, JobId, JobState};
use crate::request::Invalid;
use crate::result_url::{CACHE_CONTROL as CACHING, Signed};
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use spinelift_mesh::export::Format;
use std::fmt::Write as _;
use utoipa::ToSchema;

/// Most jobs that are looked up together.
const AT_ONCE: usize = 500;

/// How the jobs of a batch stand, in the order of its images.
#[derive(Serialize, ToSchema)]
#[serde(transparent)]
pub(super) struct BatchResults(Vec<BatchResult>);

/// How a job of a batch stands.
#[derive(Serialize, ToSchema)]
pub(super) struct BatchResult {
    /// The job.
    #[schema(value_type = Id)]
    job_id: String,
    /// How it stands.
    status: Status,
    /// Where the mesh is, once the job is completed.
    #[schema(
        example = "https://mesh.example/api/v1/mesh/hero-1/result",
        nullable = false
    )]
    #[serde(skip_serializing_if = "Option::is_none")]
    result_url: Option<String>,
    /// Why there is none, once the job has failed.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<JobError>,
}

/// What a result may be.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, clippy::large_enum_variant, reason = "describes the answer")]
#[serde(untagged)]
enum ResultBody {
    Mesh(Mesh),
    Batch(BatchResults),
    /// With `format=spine` or `format=spine-3.8`: a Spine skeleton.
    #[schema(value_type = Object)]
    Skeleton(()),
}

/// A file.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[allow(dead_code, reason = "describes the answer")]
struct Binary(Vec<u8>);

/// The mesh of a job; of a batch, how its jobs stand and where their meshes are.
#[utoipa::path(
    get, path = "/mesh/{job_id}/result", tag = "jobs", operation_id = "get_result",
    params(
        ("If-None-Match" = Option<String>, Header, nullable = false,
            description = "The `ETag` of a mesh that the client has."),
        ("expires" = Option<String>, Query, nullable = false,
            description = "Part of the signature of a `result_url`."),
        ("signature" = Option<String>, Query, nullable = false,
            description = "The signature of a `result_url`, which takes the place of a key."),
        ("format" = Option<String>, Query, nullable = false,
            pattern = "^(json|spine|spine-3\\.8|svg|png|obj|gltf|godot)$",
            description = "What the mesh of a job is written as: `json` (this description), `spine` \
                           (a skeleton for 4.2), `spine-3.8`, `svg` (the mesh without its image), \
                           `png` (the mesh drawn over its image), `obj`, `gltf` (binary, with the \
                           image in it), `godot` (a scene). For `png` and `gltf` the image is loaded \
                           again from its URL, if RESULT_IMAGES allows for it; of one that was \
                           uploaded they cannot be had."),
    ),
    responses(
        (status = 200, description = "The mesh, or the list of a batch.",
            content(
                (ResultBody = "application/json"),
                (String = "image/svg+xml"),
                (Binary = "image/png"),
                (String = "model/obj"),
                (Binary = "model/gltf-binary"),
                (String = "text/plain"),
            ),
            headers(
                ("ETag" = Option<String>, description = "Of a mesh: names its bytes."),
                ("Content-Disposition" = Option<String>,
                    description = "With `format`: a name for the file."),
            )),
        (status = 304, description = "The client has the mesh."),
    ),
)]
pub(super) async fn result(
    State(api): State<Api>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    signed: Option<Extension<Signed>>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let format = export::wanted(query.as_deref().unwrap_or_default())?;
    let signed = signed.map(|Extension(signed)| signed);
    let named = api.named(&id).await?;
    if signed
        .as_ref()
        .is_some_and(|signed| signed.generation != named.generation())
    {
        // Deleted since the signature was checked, and the name used again.
        return Err(not_found(&id));
    }
    match named {
        Named::Job(job) => {
            let mesh = mesh(&api, &job).await?;
            let Some(format) = format else {
                return Ok(answer(mesh, "application/json", &headers));
            };
            let bytes = api.exports.write(&job, mesh, format).await?;
            let name = [(CONTENT_DISPOSITION, export::disposition(&job.id, format))];
            Ok((name, answer(bytes, format.media_type(), &headers)).into_response())
        }
        Named::Batch(_) if format.is_some() => {
            let message = "format is for the result of a job, and this is a batch: ask for that of \
                           each of its jobs";
            let value = format.map_or("", Format::name);
            Err(Invalid::one("format", &value.into(), message).into())
        }
        Named::Batch(batch) => {
            let base = api.result_urls.base(&headers);
            Ok(Json(batch_results(&api, &batch.id, &base, signed.as_ref()).await?).into_response())
        }
    }
}

/// With a signed URL others are had that expire when it does: else it would never end.
async fn batch_results(
    api: &Api,
    id: &JobId,
    base: &str,
    signed: Option<&Signed>,
) -> Result<BatchResults, ApiError> {
    let mut filter = Filter {
        batch: Some(id.clone()),
        limit: AT_ONCE,
        ..Filter::default()
    };
    let mut results = Vec::new();
    loop {
        let page = api.engine.list(filter.clone()).await?;
        for job in &page.jobs {
            results.push(BatchResult {
                job_id: job.id.to_string(),
                status: Status::of(&job.state),
                result_url: match job.state {
                    JobState::Completed => {
                        Some(api.result_urls.of_job_until(base, job, signed).await)
                    }
                    _ => None,
                },
                error: job.state.error(),
            });
        }
        filter.after = page.next;
        if filter.after.is_none() {
            results.reverse();
            return Ok(BatchResults(results));
        }
    }
}

/// The mesh of a job, if it has one.
pub(super) async fn mesh(api: &Api, job: &Job) -> Result<Bytes, ApiError> {
    let (JobState::Completed, Some(object)) = (&job.state, &job.result) else {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            "JOB_NOT_COMPLETED",
            match job.state {
                JobState::Failed(_) => "The job failed, so it has no result",
                JobState::Cancelled => "The job was cancelled, so it has no result",
                _ => "The job has no result yet",
            },
            json!({ "job_id": job.id.as_str(), "status": job.state.status() }),
        ));
    };
    match api.storage.get_result(object).await {
        Ok(mesh) => Ok(mesh),
        Err(error) if error.is_missing() => Err(ApiError::new(
            StatusCode::GONE,
            "RESULT_GONE",
            "The job completed, but its result has been removed from the storage",
            json!({ "job_id": job.id.as_str() }),
        )),
        Err(error) => {
            tracing::error!(job_id = %job.id, %error, "a result cannot be read");
            Err(ApiError::unavailable(
                "STORAGE_UNAVAILABLE",
                "The result cannot be read at the moment",
                json!({ "job_id": job.id.as_str() }),
            ))
        }
    }
}

/// The mesh in some format, or that the client has it already.
fn answer(bytes: Bytes, media_type: &'static str, headers: &HeaderMap) -> Response {
    let tag = entity_tag(&bytes);
    let caching = [(ETAG, tag.clone()), (CACHE_CONTROL, CACHING.to_owned())];
    if has(headers, &tag) {
        return (StatusCode::NOT_MODIFIED, caching).into_response();
    }
    (caching, [(CONTENT_TYPE, media_type)], bytes).into_response()
}

/// A strong one: the same bytes have the same tag, on every machine.
fn entity_tag(bytes: &[u8]) -> String {
    let mut tag = String::from("\"");
    for byte in &Sha256::digest(bytes)[..16] {
        // Writing to a string cannot fail.
        let _ = write!(tag, "{byte:02x}");
    }
    tag.push('"');
    tag
}

/// Whether `If-None-Match` names a tag. A cache may have weakened it on the way.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let values = headers.get_all(IF_NONE_MATCH).iter();
    let listed = values.filter_map(|value| value.to_str().ok());
    listed
        .flat_map(|list| list.split(',').map(str::trim))
        .any(|listed| listed == "*" || listed.strip_prefix("W/").unwrap_or(listed) == tag)
}
