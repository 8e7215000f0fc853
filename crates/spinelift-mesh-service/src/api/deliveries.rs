//! `GET …/mesh/{job_id}/deliveries` and `POST …/deliveries/{delivery_id}/replay`: what the
//! receiver of a job or batch was told of its end, and telling it once more.

use super::Api;
use super::openapi::Id;
use crate::engine::{Attempt, DeliveryId, DeliveryRecord, DeliveryState, Replayed};
use crate::error::ApiError;
use crate::job::JobId;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

/// The deliveries of a job or batch.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Deliveries {
    /// The job or batch.
    #[schema(value_type = Id)]
    job_id: String,
    /// Oldest first.
    deliveries: Vec<DeliveryView>,
}

/// A delivery, as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct DeliveryView {
    /// The `webhook-id` of its callbacks.
    #[schema(example = "msg_019ab3c2d4e57f0889a1b2c3d4e5f607")]
    id: String,
    status: DeliveryStatus,
    /// How often it was attempted, since it was made or replayed.
    attempts: u32,
    /// When it was made: at the end of its job.
    #[schema(format = DateTime)]
    created_at: String,
    /// When the next attempt is due; none if it is not pending.
    #[schema(format = DateTime)]
    next_attempt_at: Option<String>,
    /// The attempts, oldest first; of very many only the latest.
    log: Vec<AttemptView>,
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum DeliveryStatus {
    /// It waits for its time, or is being made.
    Pending,
    /// Its receiver has taken it.
    Delivered,
    /// It was given up.
    Failed,
}

/// An attempt at a delivery, as clients see it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AttemptView {
    /// When it began.
    #[schema(format = DateTime)]
    at: String,
    /// How long it took.
    milliseconds: u64,
    /// The status of the answer, if there was one.
    http_status: Option<u16>,
    /// What went wrong, if something did.
    error: Option<String>,
}

/// How the end of a job or batch was told to its receiver, and how often that was tried.
#[utoipa::path(
    get, path = "/mesh/{job_id}/deliveries", tag = "callbacks", operation_id = "list_deliveries",
    responses((status = 200, description = "All deliveries.", body = Deliveries)),
)]
pub(crate) async fn deliveries(
    State(api): State<Api>,
    Path(id): Path<String>,
) -> Result<Json<Deliveries>, ApiError> {
    let records = match JobId::parse(&id) {
        Ok(id) => api.engine.deliveries(&id).await?,
        Err(_) => Vec::new(),
    };
    // Asked only now: what is known of a job that cannot be read is shown all the same.
    if records.is_empty() {
        check_known(&api, &id).await?;
    }
    Ok(Json(Deliveries {
        job_id: id,
        deliveries: records.into_iter().map(DeliveryView::from).collect(),
    }))
}

/// Tells the end of a job or batch once more, at once.
#[utoipa::path(
    post, path = "/mesh/{job_id}/deliveries/{delivery_id}/replay", tag = "callbacks",
    operation_id = "replay_delivery",
    responses((status = 202, description = "It is due.", body = DeliveryView)),
)]
pub(crate) async fn replay(
    State(api): State<Api>,
    Path((id, delivery)): Path<(String, String)>,
) -> Result<(StatusCode, Json<DeliveryView>), ApiError> {
    let wanted = DeliveryId::new(&delivery);
    let replayed = match JobId::parse(&id) {
        Ok(id) if api.engine.replay(&id, &wanted).await? != Replayed::Unknown => {
            tracing::info!(job_id = %id, delivery = %wanted, "delivery replayed");
            api.engine.deliveries(&id).await?
        }
        _ => Vec::new(),
    };
    let mut records = replayed.into_iter();
    match records.find(|record| record.delivery.id == wanted) {
        Some(record) => Ok((StatusCode::ACCEPTED, Json(record.into()))),
        None => {
            check_known(&api, &id).await?;
            Err(unknown(&id, &delivery))
        }
    }
}

/// Whether there is a job or batch of that name.
async fn check_known(api: &Api, id: &str) -> Result<(), ApiError> {
    api.named(id).await.map(|_| ())
}

fn unknown(id: &str, delivery: &str) -> ApiError {
    let shown: String = delivery.chars().take(JobId::MAX_LENGTH).collect();
    ApiError::new(
        StatusCode::NOT_FOUND,
        "DELIVERY_NOT_FOUND",
        "There is no delivery with this id of this job",
        json!({ "job_id": id, "delivery_id": shown }),
    )
}

impl From<DeliveryRecord> for DeliveryView {
    fn from(record: DeliveryRecord) -> Self {
        Self {
            id: record.delivery.id.as_str().to_owned(),
            status: record.state.into(),
            attempts: record.delivery.attempts,
            created_at: shown(record.delivery.created_at),
            next_attempt_at: record.next_at.map(shown),
            log: record.log.into_iter().map(AttemptView::from).collect(),
        }
    }
}

impl From<DeliveryState> for DeliveryStatus {
    fn from(state: DeliveryState) -> Self {
        match state {
            DeliveryState::Pending => Self::Pending,
            DeliveryState::Delivered => Self::Delivered,
            DeliveryState::Failed => Self::Failed,
        }
    }
}

impl From<Attempt> for AttemptView {
    fn from(attempt: Attempt) -> Self {
        Self {
            at: shown(attempt.at),
            milliseconds: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
            http_status: attempt.status,
            error: attempt.error,
        }
    }
}

fn shown(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Millis, true)
}
