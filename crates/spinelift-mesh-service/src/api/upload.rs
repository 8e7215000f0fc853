//! `POST …/mesh/upload`: accepts a job whose image comes along.

use super::Api;
use super::caller::{Caller, Name};
use super::form::Form;
use super::generate::{AcceptedBody, EndedBody, both};
use super::openapi::UploadRequest;
use super::parts::Parts;
use super::wait::{self, Wait};
use crate::error::ApiError;
use crate::fault;
use crate::job::{JobId, JobRequest, JobState, Source};
use crate::request::{MeshRequest, warn_of_unknown};
use crate::request_body::BodyMemory;
use axum::body::Bytes;
use axum::extract::{RawQuery, State};
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
    parts: Result<Parts, ApiError>,
) -> Result<Response, ApiError> {
    let wait = Wait::read(query.as_deref());
    let mut parts = parts?;
    let form = Form::read(&mut parts, api.max_image_bytes).await?;
    let image = Upload {
        bytes: form.image.unwrap_or_default(),
        memory: parts.memory.clone(),
    };
    drop(parts);
    let source = match image.bytes.is_empty() {
        true => None,
        false => Some(digest(&image).await?),
    };
    let policy = api.outbound.policy();
    let request = MeshRequest::read_upload(&form.fields, source, form.errors, policy);
    let (wait, mut request) = both(wait, request)?;
    warn_of_unknown(query.as_deref(), &wait::KNOWN, &mut request.warnings);
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

/// An image in memory. Its client may leave: what goes on with it has the memory, too.
#[derive(Clone)]
struct Upload {
    bytes: Bytes,
    memory: BodyMemory,
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
    async fn run(self, image: Upload) -> Result<(Caller, JobId, JobState), ApiError> {
        let Self {
            api,
            caller,
            name,
            request,
        } = self;
        let Source::Upload { digest } = request.source.clone() else {
            return Err(ApiError::internal());
        };
        api.check_room(&caller, &name.id).await?;
        let turn = api.uploads.enter(&name.id, &digest).await;
        let accepted = match api.store_upload(&name.id, &digest, image).await {
            Ok(()) => api.accept(&caller, &name, request).await,
            Err(error) => Err(error),
        };
        drop(turn);
        if !matches!(&accepted, Ok(state) if !state.is_final()) {
            api.uploads.remove_unneeded(&name.id, &digest).await;
        }
        Ok((caller, name.id, accepted?))
    }
}

impl Api {
    /// Refuses what would be refused anyway before it takes any disk.
    async fn check_room(&self, caller: &Caller, id: &JobId) -> Result<(), ApiError> {
        match self.engine.check_room(&caller.client).await {
            // A job that is known is answered for even then.
            Err(error) => match self.find(id).await {
                Ok(Some(_)) => Ok(()),
                _ => Err(ApiError::not_accepted(error)),
            },
            Ok(()) => Ok(()),
        }
    }

    async fn store_upload(&self, id: &JobId, digest: &str, image: Upload) -> Result<(), ApiError> {
        let size = image.bytes.len() as u64;
        let room = self.upload_space.take(size, &self.storage).await?;
        let stored = self.storage.put_upload(id, digest, image.bytes).await;
        drop((room, image.memory));
        fault::point("upload-stored").await;
        stored.map_err(|error| {
            tracing::error!(job_id = %id, %error, "an image cannot be stored");
            ApiError::unavailable(
                "STORAGE_UNAVAILABLE",
                "The image cannot be stored at the moment; nothing was accepted",
                json!({}),
            )
        })
    }
}

/// Many megabytes take a while, which is no work for an asynchronous thread.
async fn digest(image: &Upload) -> Result<Source, ApiError> {
    let image = image.clone();
    let hashing = tokio::task::spawn_blocking(move || {
        let hash = Sha256::digest(&image.bytes);
        drop(image);
        hash
    });
    let hash = hashing.await.map_err(|_| ApiError::internal())?;
    let digest = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Source::Upload { digest })
}
