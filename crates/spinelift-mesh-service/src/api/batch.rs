//! `POST …/mesh/batch`: accepts many jobs at once.

use super::Api;
use super::caller::Caller;
use super::document::Document;
use super::generate::{Warning, conflict};
use super::openapi::{BatchId, Id, ImageUrl, Parameters, PresetName, WebUrl};
use super::status::Status;
use crate::engine::{AcceptedBatch, NewBatch};
use crate::error::ApiError;
use crate::fault;
use crate::json;
use crate::request::{BatchRequest, warn_of_unknown};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Many jobs. Other fields are ignored, and named in `warnings`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is read field by field")]
#[schema(as = BatchRequest)]
pub(super) struct BatchSchema {
    /// The batch's name; one is made if there is none. The same name with the same request is the
    /// same batch.
    #[schema(value_type = Option<BatchId>)]
    batch_id: Option<String>,
    /// The images.
    #[schema(min_items = 1, max_items = 500)]
    images: Vec<BatchImage>,
    /// For all images; they lie over the preset's.
    #[schema(value_type = Option<Parameters>)]
    parameters: Option<()>,
    #[schema(value_type = Option<PresetName>)]
    preset: Option<()>,
    /// Where the batch's progress is sent.
    #[schema(value_type = Option<WebUrl>)]
    callback_url: Option<String>,
}

/// An image of a batch. Other fields are ignored, and named in `warnings`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is read field by field")]
pub(super) struct BatchImage {
    /// Where the image is: a PNG, WebP or JPEG.
    #[schema(value_type = ImageUrl)]
    image_url: String,
    /// The job's name; the batch's and the image's number, from 1 on, if there is none.
    #[schema(value_type = Option<Id>)]
    job_id: Option<String>,
    /// They lie over the batch's.
    #[schema(value_type = Option<Parameters>)]
    parameters: Option<()>,
    #[schema(value_type = Option<PresetName>)]
    preset: Option<()>,
}

/// The jobs are safe, and run or have run.
#[derive(Serialize, ToSchema)]
pub(super) struct AcceptedBatchBody {
    /// The batch.
    #[schema(example = "sprites")]
    batch_id: String,
    /// The same: all that is done with jobs is done with batches by their ids.
    #[schema(example = "sprites")]
    job_id: String,
    /// `processing` unless the batch was known and has ended.
    status: Status,
    /// How many jobs it has.
    #[schema(minimum = 1, example = 2)]
    count: usize,
    /// The jobs, in the order of the images.
    #[schema(example = json!(["sprites-1", "sprites-2"]))]
    jobs: Vec<String>,
    /// Seconds until all will probably have ended.
    #[schema(minimum = 0, example = 3)]
    estimated_time: u64,
    /// What was ignored.
    #[schema(value_type = Vec<Warning>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Value>,
}

/// Has meshes made of many images; all of their jobs are accepted, or none.
#[utoipa::path(
    post, path = "/mesh/batch", tag = "jobs", operation_id = "generate_batch",
    request_body = BatchSchema,
    responses((status = 202, description = "The jobs are safe on disk.", body = AcceptedBatchBody)),
)]
pub(super) async fn batch(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
    document: Document,
) -> Result<Response, ApiError> {
    let images = api.max_batch_size;
    let most = json::MAX_VALUES + images * json::VALUES_OF_AN_IMAGE;
    let outbound = api.outbound.clone();
    let read = move |body: &Value| BatchRequest::read(body, images, outbound.policy());
    let mut request = document.read(&api, most, read).await??;
    warn_of_unknown(query.as_deref(), &[], &mut request.warnings);
    let jobs: Vec<_> = request.jobs.iter().map(|(id, _)| id.to_string()).collect();
    let batch = NewBatch {
        id: request.id.clone(),
        jobs: request.jobs,
        callback_url: request.callback_url,
        base_url: caller.base_url,
        client: caller.client,
        request_id: Some(caller.request_id),
    };
    let status = match api
        .engine
        .accept_batch(batch)
        .await
        .map_err(ApiError::not_accepted)?
    {
        AcceptedBatch::Created => {
            fault::point("batch-accepted").await;
            tracing::info!(job_id = %request.id, images = jobs.len(), "batch accepted");
            Status::Processing
        }
        AcceptedBatch::Existing(batch) => Status::of_batch(&batch),
        AcceptedBatch::Conflict(id) => return Err(conflict(&id)),
    };
    let body = AcceptedBatchBody {
        batch_id: request.id.to_string(),
        job_id: request.id.to_string(),
        status,
        count: jobs.len(),
        jobs,
        estimated_time: match status {
            Status::Processing => api.estimate().await,
            _ => 0,
        },
        warnings: request.warnings,
    };
    Ok((StatusCode::ACCEPTED, Json(body)).into_response())
}
