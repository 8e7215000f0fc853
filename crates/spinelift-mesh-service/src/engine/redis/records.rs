//! What the server keeps of jobs, batches and deliveries, and what they stand for.

use crate::engine::{
    Attempt, Delivery, DeliveryId, DeliveryRecord, DeliveryState, EngineError, ResultObject,
};
use crate::job::{Batch, Counts, Job, JobError, JobId, JobRequest, JobState, Progress};
use crate::redacted::RedactedUrl;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use spinelift_mesh::Step;
use std::collections::HashMap;
use std::str::FromStr;
use std::time::Duration;
use url::Url;

/// The fields of a hash by their names.
pub(super) type Fields = HashMap<String, String>;

fn damaged(reason: impl ToString) -> EngineError {
    EngineError::Damaged {
        reason: reason.to_string(),
    }
}

fn text<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, EngineError> {
    let value = fields.get(name).map(String::as_str);
    value.ok_or_else(|| damaged(format!("no field {name}")))
}

fn number<T: FromStr>(fields: &Fields, name: &str) -> Result<T, EngineError> {
    let value = text(fields, name)?;
    value
        .parse()
        .map_err(|_| damaged(format!("{name} is no number: {value}")))
}

fn time(fields: &Fields, name: &str) -> Result<DateTime<Utc>, EngineError> {
    Ok(moment(number(fields, name)?))
}

fn time_if_any(fields: &Fields, name: &str) -> Result<Option<DateTime<Utc>>, EngineError> {
    match fields.contains_key(name) {
        true => time(fields, name).map(Some),
        false => Ok(None),
    }
}

/// Milliseconds since 1970, as the server keeps times.
fn moment(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

/// The job in its hash; `None` if there is none.
pub(super) fn job(fields: &Fields) -> Result<Option<Job>, EngineError> {
    if fields.is_empty() {
        return Ok(None);
    }
    let percent = number(fields, "percent")?;
    let state = state(fields)?;
    let batch = fields.get("batch").map(|id| JobId::parse(id));
    let result = fields
        .get("result")
        .map(|name| ResultObject::parse(name).ok_or_else(|| damaged(format!("no result: {name}"))));
    Ok(Some(Job {
        id: JobId::parse(text(fields, "id")?).map_err(damaged)?,
        generation: number(fields, "generation")?,
        request: JobRequest::from_stored(text(fields, "request")?).map_err(damaged)?,
        base_url: text(fields, "base_url")?.to_owned(),
        client: text(fields, "client")?.to_owned(),
        request_id: fields.get("request_id").cloned(),
        batch: batch.transpose().map_err(damaged)?,
        progress: progress(&state, percent),
        state,
        attempts: number(fields, "attempts")?,
        result: result.transpose()?,
        cached: fields.get("cached").is_some_and(|cached| cached == "1"),
        created_at: time(fields, "created_at")?,
        finished_at: time_if_any(fields, "finished_at")?,
    }))
}

fn state(fields: &Fields) -> Result<JobState, EngineError> {
    Ok(match text(fields, "state")? {
        "queued" => JobState::Queued,
        "running" => JobState::Running,
        "completed" => JobState::Completed,
        "cancelled" => JobState::Cancelled,
        "failed" => {
            let error: JobError = serde_json::from_str(text(fields, "error")?).map_err(damaged)?;
            JobState::Failed(error)
        }
        other => return Err(damaged(format!("no state: {other}"))),
    })
}

fn progress(state: &JobState, percent: u8) -> Progress {
    match state {
        JobState::Queued => Progress::QUEUED,
        JobState::Running => steps_to(percent).pop().unwrap_or(Progress::STARTED),
        JobState::Completed => Step::Finalize.into(),
        JobState::Failed(_) | JobState::Cancelled => Progress {
            percent,
            message: state
                .error()
                .map_or_else(String::new, |error| error.message)
                .into(),
        },
    }
}

/// The steps that an attempt has made that has come so far: they are made one after the other.
pub(super) fn steps_to(percent: u8) -> Vec<Progress> {
    let made = Step::ALL
        .into_iter()
        .filter(|step| step.percent() <= percent);
    made.map(Progress::from).collect()
}

/// The batch in its hash; `None` if there is none.
pub(super) fn batch(fields: &Fields) -> Result<Option<Batch>, EngineError> {
    if fields.is_empty() {
        return Ok(None);
    }
    let callback_url = fields.get("callback_url").map(|url| Url::parse(url));
    Ok(Some(Batch {
        id: JobId::parse(text(fields, "id")?).map_err(damaged)?,
        generation: number(fields, "generation")?,
        callback_url: callback_url
            .transpose()
            .map_err(damaged)?
            .map(RedactedUrl::new),
        base_url: text(fields, "base_url")?.to_owned(),
        counts: Counts {
            total: number(fields, "total")?,
            completed: number(fields, "completed")?,
            failed: number(fields, "failed")?,
        },
        created_at: time(fields, "created_at")?,
        finished_at: time_if_any(fields, "finished_at")?,
    }))
}

/// The delivery in its hash.
pub(super) fn delivery(fields: &Fields) -> Result<Delivery, EngineError> {
    Ok(Delivery {
        id: DeliveryId::new(text(fields, "id")?),
        of: JobId::parse(text(fields, "of")?).map_err(damaged)?,
        generation: number(fields, "generation")?,
        receiver: text(fields, "receiver")?.to_owned(),
        attempts: number(fields, "attempts")?,
        created_at: time(fields, "created_at")?,
    })
}

/// The delivery in its hash, with its log.
pub(super) fn delivery_record(
    fields: &Fields,
    log: &[String],
) -> Result<DeliveryRecord, EngineError> {
    let state = match text(fields, "state")? {
        "pending" => DeliveryState::Pending,
        "delivered" => DeliveryState::Delivered,
        "failed" => DeliveryState::Failed,
        other => return Err(damaged(format!("no state: {other}"))),
    };
    Ok(DeliveryRecord {
        delivery: delivery(fields)?,
        state,
        next_at: time_if_any(fields, "next_at")?,
        log: log
            .iter()
            .map(|entry| attempt(entry))
            .collect::<Result<_, _>>()?,
    })
}

/// An attempt at a delivery as it is stored.
#[derive(Serialize, Deserialize)]
struct StoredAttempt {
    took: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// The form in which an attempt is kept, behind its time.
pub(super) fn stored_attempt(attempt: &Attempt) -> String {
    let stored = StoredAttempt {
        took: u64::try_from(attempt.took.as_millis()).unwrap_or(u64::MAX),
        status: attempt.status,
        error: attempt.error.clone(),
    };
    serde_json::to_string(&stored)
        .unwrap_or_else(|_| unreachable!("strings and numbers always serialize"))
}

fn attempt(text: &str) -> Result<Attempt, EngineError> {
    let (at, text) = text.split_once(' ').unwrap_or_default();
    let stored: StoredAttempt = serde_json::from_str(text).map_err(damaged)?;
    Ok(Attempt {
        at: moment(at.parse().map_err(damaged)?),
        took: Duration::from_millis(stored.took),
        status: stored.status,
        error: stored.error,
    })
}
