//! `GET …/mesh/{job_id}/result`: the mesh, or the meshes of a batch.

use super::openapi::{Id, NormalizedParameters};
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

/// A mesh. Coordinates are pixels, origin top left, y down; the vertices of the outline come
/// first, in ring order.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes the library's `Mesh`")]
pub(super) struct Mesh {
    /// `[x, y]` of each vertex.
    #[schema(example = json!([[42.0, 0.0], [13.0, 21.0], [60.0, 21.0]]))]
    vertices: Vec<Vec<f64>>,
    /// Three vertices each.
    #[schema(example = json!([[0, 2, 1]]))]
    triangles: Vec<Vec<u32>>,
    /// `u0, v0, u1, v1, …`, each from 0 to 1, v down.
    #[schema(example = json!([0.47, 0.0, 0.15, 0.24, 0.67, 0.24]))]
    uvs: Vec<f64>,
    /// `a0, b0, a1, b1, …`: edges of one triangle, the smaller vertex first.
    #[schema(example = json!([0, 1, 0, 2, 1, 2]))]
    boundary_edges: Vec<u32>,
    /// The same for edges of two triangles.
    #[schema(example = json!([]))]
    internal_edges: Vec<u32>,
    /// The vertices on the boundary, in ring order.
    #[schema(example = json!([0, 1, 2]))]
    boundary_indices: Vec<u32>,
    metadata: Metadata,
    /// The meshes of the other islands, the largest first, where `outline.islands` is `separate`;
    /// absent if there are none.
    #[schema(no_recursion, nullable = false)]
    islands: Option<Vec<Mesh>>,
}

/// What is known of a mesh.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes the library's `Metadata`")]
pub(super) struct Metadata {
    /// Of the image, in pixels.
    #[schema(minimum = 1, example = 89)]
    width: u32,
    /// Of the image, in pixels.
    #[schema(minimum = 1, example = 89)]
    height: u32,
    #[schema(minimum = 3, example = 3)]
    vertex_count: u32,
    #[schema(minimum = 1, example = 1)]
    triangle_count: u32,
    /// All nine as they were used, and the optional ones that are not defaults; without the deadline.
    #[schema(value_type = NormalizedParameters)]
    parameters: (),
    /// Changes whenever the same input gives another mesh.
    #[schema(example = "1")]
    algorithm_version: String,
    /// What was repaired, replaced or ignored.
    #[schema(value_type = Vec<Object>)]
    warnings: Vec<()>,
    quality: Quality,
}

/// How good a mesh is. What there is nothing to measure for is `null`.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes the library's `Quality`")]
pub(super) struct Quality {
    /// Pixels that are not wholly transparent.
    #[schema(minimum = 0, example = 3000)]
    visible_pixels: u64,
    /// Those whose centre is outside of the mesh; exact.
    #[schema(minimum = 0, example = 0)]
    pixels_lost: u64,
    /// Those that are not inside as whole squares; exact.
    #[schema(minimum = 0, example = 0)]
    pixels_cut: u64,
    /// The share of visible pixels that are not lost.
    #[schema(minimum = 0, maximum = 1, example = 1.0)]
    coverage: f64,
    /// Of the mesh, in square pixels.
    #[schema(minimum = 0, example = 3220.5)]
    area: f64,
    /// Area of the mesh over the number of visible pixels.
    #[schema(example = 1.0735)]
    overdraw: Option<f64>,
    /// How many there are.
    #[schema(minimum = 3, example = 12)]
    vertices: u32,
    /// How many there are.
    #[schema(minimum = 1, example = 10)]
    triangles: u32,
    /// The smallest angle, in degrees.
    #[schema(example = 21.4)]
    min_angle: Option<f64>,
    /// The median over the triangles of their smallest angles, in degrees.
    #[schema(example = 40.1)]
    median_angle: Option<f64>,
    /// Its area in square pixels.
    #[schema(example = 12.5)]
    smallest_triangle: Option<f64>,
    /// Pairs of vertices nearer than a quarter of a pixel.
    #[schema(minimum = 0, example = 0)]
    near_duplicate_vertices: u32,
    /// Of the triangles with an angle below 10 degrees, the area of the one with the longest edge,
    /// in square pixels.
    longest_thin_triangle: Option<f64>,
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
            pattern = "^(json|spine|spine-3\\.8|svg|obj|godot)$",
            description = "What the mesh of a job is written as: `json` (this description), `spine` \
                           (a skeleton for 4.2), `spine-3.8`, `svg` (the mesh without its image), \
                           `obj`, `godot` (a scene). Formats with the image in them are had from \
                           the command line alone, since the service keeps no images."),
    ),
    responses(
        (status = 200, description = "The mesh, or the list of a batch.",
            content(
                (ResultBody = "application/json"),
                (String = "image/svg+xml"),
                (String = "model/obj"),
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
            let bytes = export::export(&api.exports, &job.id, mesh, format).await?;
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
