//! `POST …/mesh/generate`: accepts a job.

use super::caller::{Caller, Name};
use super::document::Document;
use super::openapi::{Id, ImageUrl, Parameters, PresetName, WebUrl};
use super::status::{JobStatus, Status};
use super::wait::{self, Wait};
use super::{Api, result};
use crate::engine::{self, NewJob};
use crate::error::ApiError;
use crate::fault;
use crate::job::{Job, JobId, JobRequest, JobState};
use crate::json;
use crate::request::{Invalid, MeshRequest, warn_of_unknown};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A job. Other fields are ignored, and named in `warnings`.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is read field by field")]
pub(super) struct GenerateRequest {
    /// Where the image is: a PNG, WebP or JPEG. Hosts with addresses that are not public are
    /// refused unless `ALLOWED_PRIVATE_HOSTS` names them, and buckets unless `ALLOWED_S3_BUCKETS`
    /// does.
    #[schema(value_type = ImageUrl)]
    image_url: String,
    /// They lie over the preset's, or over the defaults.
    #[schema(value_type = Option<Parameters>)]
    parameters: Option<()>,
    #[schema(value_type = Option<PresetName>)]
    preset: Option<()>,
    /// Where progress is sent.
    #[schema(value_type = Option<WebUrl>)]
    callback_url: Option<String>,
    /// The job's name; one is made if there is none. The same name with the same request is the
    /// same job. It must not be `.` or `..`.
    #[schema(value_type = Option<Id>)]
    job_id: Option<String>,
}

/// The job is safe, and runs or has run.
#[derive(Serialize, ToSchema)]
pub(super) struct AcceptedBody {
    /// The job.
    #[schema(value_type = Id)]
    job_id: String,
    /// `processing` unless the job was known and has ended.
    status: Status,
    /// Seconds until it will probably have ended.
    #[schema(minimum = 0, example = 2)]
    estimated_time: u64,
    /// What was ignored.
    #[schema(value_type = Vec<Warning>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Value>,
}

/// What was ignored or changed.
#[derive(ToSchema)]
#[allow(dead_code, reason = "describes what is made as JSON")]
pub(super) struct Warning {
    /// For programs.
    #[schema(example = "UNKNOWN_FIELD")]
    code: String,
    /// For people.
    #[schema(example = "unknown field `priority` was ignored")]
    message: String,
}

/// The job has ended while the answer was held.
#[derive(Serialize, ToSchema)]
#[serde(untagged)]
pub(super) enum EndedBody {
    Completed(CompletedBody),
    Failed(JobStatus),
}

/// The job is completed: here is its mesh.
#[derive(Serialize, ToSchema)]
pub(super) struct CompletedBody {
    /// The job.
    #[schema(value_type = Id)]
    job_id: String,
    /// `completed`.
    status: Status,
    /// Where the mesh is.
    #[schema(example = "https://mesh.example/api/v1/mesh/hero-1/result")]
    result_url: String,
    /// Whether an earlier job with the same image and parameters had made the mesh.
    cached: bool,
    /// The mesh.
    #[schema(value_type = super::mesh::Mesh)]
    result: Box<RawValue>,
    /// What was ignored.
    #[schema(value_type = Vec<Warning>)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Value>,
}

/// Has a mesh made of an image that the service loads.
#[utoipa::path(
    post, path = "/mesh/generate", tag = "jobs", operation_id = "generate",
    params(
        ("wait" = Option<f64>, Query, nullable = false, minimum = 1, maximum = 60,
            description = "Seconds that the answer is held until the job has ended."),
        ("Idempotency-Key" = Option<String>, Header, nullable = false,
            pattern = "^[!-~]{1,255}$",
            description = "Names the job if the body does not: a repeat with the same key finds it."),
    ),
    request_body = GenerateRequest,
    responses(
        (status = 200, description = "With `wait`: the job has ended.", body = EndedBody),
        (status = 202, description = "The job is safe on disk.", body = AcceptedBody),
    ),
)]
pub(super) async fn generate(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
    document: Document,
) -> Result<Response, ApiError> {
    let wait = Wait::read(query.as_deref());
    let outbound = api.outbound.clone();
    let read = move |body: &Value| MeshRequest::read(body, outbound.policy());
    let request = document.read(&api, json::MAX_VALUES, read).await?;
    let (wait, mut request) = both(wait, request)?;
    warn_of_unknown(query.as_deref(), &wait::KNOWN, &mut request.warnings);
    let name = caller.name(request.id)?;
    let state = api.accept(&caller, &name, request.request).await?;
    api.answer(&caller, &name.id, &state, request.warnings, wait)
        .await
}

/// What was read of a query and of a body, or all that is wrong with either.
pub(super) fn both<T>(
    wait: Result<Option<Wait>, Value>,
    request: Result<T, Invalid>,
) -> Result<(Option<Wait>, T), Invalid> {
    match (wait, request) {
        (Ok(wait), Ok(request)) => Ok((wait, request)),
        (Ok(_), Err(invalid)) => Err(invalid),
        (Err(error), Ok(_)) => Err(Invalid::new(vec![error])),
        (Err(error), Err(mut invalid)) => {
            invalid.0.insert(0, error);
            Err(invalid)
        }
    }
}

impl Api {
    /// Has the engine accept a job; how it stands then.
    pub(super) async fn accept(
        &self,
        caller: &Caller,
        name: &Name,
        request: JobRequest,
    ) -> Result<JobState, ApiError> {
        let job = NewJob {
            id: name.id.clone(),
            request,
            base_url: caller.base_url.clone(),
            client: caller.client.clone(),
            request_id: Some(caller.request_id.clone()),
        };
        let accepted = self.engine.accept(job).await;
        match accepted.map_err(ApiError::not_accepted)? {
            engine::Accepted::Created => {
                fault::point("accepted").await;
                tracing::info!(job_id = %name.id, "job accepted");
                Ok(JobState::Queued)
            }
            engine::Accepted::Existing(job) => Ok(job.state),
            engine::Accepted::Conflict if name.is_derived => Err(key_conflict(&name.id)),
            engine::Accepted::Conflict => Err(conflict(&name.id)),
        }
    }

    /// The time until a job that is accepted now will have ended, in seconds. It is accepted even
    /// if the engine cannot tell how many are before it.
    pub(super) async fn estimate(&self) -> u64 {
        let backlog = self.engine.backlog().await;
        self.pace
            .estimate(backlog.map_or(0, |backlog| backlog.waiting))
    }

    /// The answer to a request whose job is accepted.
    pub(super) async fn answer(
        &self,
        caller: &Caller,
        id: &JobId,
        state: &JobState,
        warnings: Vec<Value>,
        wait: Option<Wait>,
    ) -> Result<Response, ApiError> {
        if let Some(wait) = wait
            && let Some(job) = self.ended(id, wait, &caller.client).await?
        {
            let body = self.ended_body(caller, &job, warnings).await?;
            return Ok(Json(body).into_response());
        }
        let body = AcceptedBody {
            job_id: id.to_string(),
            status: Status::of(state),
            estimated_time: match state.is_final() {
                false => self.estimate().await,
                true => 0,
            },
            warnings,
        };
        Ok((StatusCode::ACCEPTED, Json(body)).into_response())
    }

    async fn ended_body(
        &self,
        caller: &Caller,
        job: &Job,
        warnings: Vec<Value>,
    ) -> Result<EndedBody, ApiError> {
        if job.state != JobState::Completed {
            let status = self.job_status(job, &caller.base_url).await;
            return Ok(EndedBody::Failed(status));
        }
        let mesh = result::mesh(self, job).await?;
        let result = serde_json::from_slice(&mesh).map_err(|error| {
            tracing::error!(job_id = %job.id, %error, "a result is damaged");
            ApiError::internal()
        })?;
        Ok(EndedBody::Completed(CompletedBody {
            job_id: job.id.to_string(),
            status: Status::Completed,
            result_url: self.result_urls.of_job_under(&caller.base_url, job).await,
            cached: job.cached,
            result,
            warnings,
        }))
    }
}

pub(super) fn conflict(id: &JobId) -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "JOB_ID_CONFLICT",
        "Another request was accepted under this job_id; use a new id for a new request",
        json!({ "job_id": id.as_str() }),
    )
}

fn key_conflict(id: &JobId) -> ApiError {
    ApiError::new(
        StatusCode::CONFLICT,
        "IDEMPOTENCY_KEY_CONFLICT",
        "Another request was accepted under this Idempotency-Key; use a new key for a new request",
        json!({ "job_id": id.as_str() }),
    )
}

impl From<Invalid> for ApiError {
    fn from(invalid: Invalid) -> Self {
        let messages: Vec<_> = invalid
            .0
            .iter()
            .filter_map(|error| error["message"].as_str())
            .collect();
        ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "VALIDATION_ERROR",
            format!("Invalid request: {}", messages.join("; ")),
            json!({ "errors": invalid.0 }),
        )
    }
}
