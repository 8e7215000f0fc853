//! `POST …/mesh/upload`: accepts a job whose image comes along.

use super::Api;
use super::caller::{Caller, Name};
use super::form::Form;
use super::generate::{AcceptedBody, EndedBody, both};
use super::openapi::UploadRequest;
use super::wait::Wait;
use crate::engine::Work;
use crate::error::ApiError;
use crate::fault;
use crate::job::{JobId, JobRequest, JobState, Source};
use crate::request::MeshRequest;
use axum::body::Bytes;
use axum::extract::multipart::{Multipart, MultipartRejection};
use axum::extract::{RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json;
use sha2::{Digest, Sha256};

/// Has a mesh made of an image that comes along. The answer is that of `generate`.
#[utoipa::path(
    post, path = "/mesh/upload", tag = "jobs", operation_id = "upload",
    params(
        ("wait" = Option<f64>, Query, nullable = false, minimum = 1, maximum = 60,
            description = "Seconds that the answer is held until the job has ended."),
        ("Idempotency-Key" = Option<String>, Header, nullable = false,
            pattern = "^[!-~]{1,255}$",
            description = "Names the job if the body does not: a repeat with the same key finds it."),
    ),
    request_body(content = UploadRequest, content_type = "multipart/form-data"),
    responses(
        (status = 200, description = "With `wait`: the job has ended.", body = EndedBody),
        (status = 202, description = "Job and image are safe on disk.", body = AcceptedBody),
    ),
)]
pub(super) async fn upload(
    State(api): State<Api>,
    caller: Caller,
    RawQuery(query): RawQuery,
    form: Result<Multipart, MultipartRejection>,
) -> Result<Response, ApiError> {
    let wait = Wait::read(query.as_deref());
    let form = form.map_err(|_| not_a_form())?;
    let form = Form::read(form, api.max_image_bytes).await?;
    let (source, image) = match form.image {
        Some(image) => (Some(digest(&image).await?), image),
        None => (None, Bytes::new()),
    };
    let policy = api.outbound.policy();
    let request = MeshRequest::read_upload(&form.fields, source, form.errors, policy);
    let (wait, request) = both(wait, request)?;
    let name = caller.name(request.id)?;
    let storing = Storing {
        api: api.clone(),
        caller,
        name,
        request: request.request,
    };
    // On its own, because a client that goes away must not leave a file without a job.
    let stored = tokio::spawn(storing.run(image)).await;
    let (caller, id, state) = stored.map_err(|_| ApiError::internal())??;
    api.answer(&caller, &id, &state, request.warnings, wait)
        .await
}

/// An image and its job, being stored.
struct Storing {
    api: Api,
    caller: Caller,
    name: Name,
    request: JobRequest,
}

impl Storing {
    /// Stores both, first the image: the job may be run as soon as it is there.
    async fn run(self, image: Bytes) -> Result<(Caller, JobId, JobState), ApiError> {
        let Self {
            api,
            caller,
            name,
            request,
        } = self;
        let Source::Upload { digest } = request.source.clone() else {
            return Err(ApiError::internal());
        };
        let flight = api.uploads.enter(&name.id).await;
        let turn = api.engine.turn(&Work::Upload(name.id.clone())).await;
        let stored = api.storage.put_upload(&name.id, &digest, image).await;
        fault::point("upload-stored").await;
        let accepted = match stored {
            Ok(()) => api.accept(&caller, &name, request).await,
            Err(error) => {
                tracing::error!(job_id = %name.id, %error, "an image cannot be stored");
                Err(ApiError::unavailable(
                    "STORAGE_UNAVAILABLE",
                    "The image cannot be stored at the moment; nothing was accepted",
                    json!({}),
                ))
            }
        };
        drop((turn, flight));
        if !matches!(&accepted, Ok(state) if !state.is_final()) {
            api.remove_unneeded_upload(&name.id, &digest).await;
        }
        Ok((caller, name.id, accepted?))
    }
}

impl Api {
    /// Removes an image, unless its job is yet to use it; the job's end removes it then.
    pub(super) async fn remove_unneeded_upload(&self, id: &JobId, digest: &str) {
        // Nobody stores it again in between.
        let _flight = self.uploads.enter(id).await;
        let _turn = self.engine.turn(&Work::Upload(id.clone())).await;
        let needed = match self.engine.get(id).await {
            Ok(job) => {
                job.is_some_and(|job| job.request.source.is_upload(digest) && !job.state.is_final())
            }
            // It may be; what is left over is removed after a start.
            Err(_) => true,
        };
        if !needed {
            self.storage.remove_upload(id, digest).await;
        }
    }
}

/// Many megabytes take a while, which is no work for an asynchronous thread.
async fn digest(image: &Bytes) -> Result<Source, ApiError> {
    let image = image.clone();
    let hashing = tokio::task::spawn_blocking(move || Sha256::digest(&image));
    let hash = hashing.await.map_err(|_| ApiError::internal())?;
    let digest = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Source::Upload { digest })
}

fn not_a_form() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "The request must be multipart/form-data, with a boundary; to have the service load an \
         image, use generate",
        json!({}),
    )
}
