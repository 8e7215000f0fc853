//! `POST …/mesh/{job_id}/cancel`: ends a job that has not ended.

use super::status::StatusBody;
use super::{Api, Named, not_found, to_the_end};
use crate::engine::Cancelled;
use crate::error::ApiError;
use crate::fault;
use crate::job::{JobId, Source};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde::Serialize;
use utoipa::ToSchema;

/// How a job or batch stands after it was to be cancelled.
#[derive(Serialize, ToSchema)]
pub(super) struct CancelBody {
    #[serde(flatten)]
    status: StatusBody,
    /// Whether this request ended it. `false`: it had ended before, and stands as it did.
    cancelled: bool,
}

/// Ends a job, or all jobs of a batch. What has ended stays as it is, so the request can be
/// repeated.
#[utoipa::path(
    post, path = "/mesh/{job_id}/cancel", tag = "jobs", operation_id = "cancel_job",
    responses((status = 200, description = "It has ended, now or before.", body = CancelBody)),
)]
pub(super) async fn cancel(
    State(api): State<Api>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Json<CancelBody>, ApiError> {
    let Ok(id) = JobId::parse(&id) else {
        return Err(not_found(&id));
    };
    let base = api.result_urls.base(&headers);
    to_the_end(async move { api.cancel(&id, &base).await }).await
}

impl Api {
    async fn cancel(&self, id: &JobId, base: &str) -> Result<Json<CancelBody>, ApiError> {
        let cancelled = match self.engine.cancel(id).await? {
            Some(Cancelled::Now) => true,
            Some(Cancelled::AlreadyEnded) => false,
            None => return Err(not_found(id.as_str())),
        };
        fault::point("cancelled").await;
        let named = self.named(id.as_str()).await?;
        if let Named::Job(job) = &named
            && let Source::Upload { digest } = &job.request.source
        {
            self.uploads.remove_unneeded(&job.id, digest).await;
        }
        if cancelled {
            tracing::info!(job_id = %id, "cancelled");
        }
        let status = self.status_body(&named, base).await;
        Ok(Json(CancelBody { status, cancelled }))
    }
}
