//! Rows of the table `jobs`, and the jobs they stand for.

use super::memory::{Queued, Waiting};
use crate::engine::{EngineError, ResultObject};
use crate::job::{Batch, Counts, Job, JobError, JobId, JobRequest, JobState, Progress};
use crate::redacted::RedactedUrl;
use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row};
use url::Url;

/// The columns that [`job`] reads, in its order.
pub(super) const COLUMNS: &str = "id, request, base_url, state, attempts, percent, error, created_at, finished_at, client, \
     request_id, batch, result, cached, generation";

/// The job of that name.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Job>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?
        .query_row([id], job)
        .optional()
}

/// The columns that [`waiting`] reads, in its order.
pub(super) const WAITING: &str = "id, generation, client, server";

/// The place in the queue of the job in a row of [`WAITING`].
pub(super) fn waiting(row: &Row<'_>) -> rusqlite::Result<Waiting<Queued>> {
    let id: String = row.get(0)?;
    Ok(Waiting {
        id: Queued {
            id: JobId::parse(&id).map_err(|error| malformed(0, error.to_string()))?,
            generation: row.get(1)?,
        },
        client: row.get(2)?,
        server: row.get(3)?,
    })
}

/// Whether there is a job of that name.
pub(super) fn exists(connection: &Connection, id: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM jobs WHERE id = ?1")?
        .exists([id])
}

/// Whether a row was found that is no job of ours, as opposed to no row being readable at all.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    )
}

/// The error as the engine's users see it.
pub(super) fn engine_error(error: &rusqlite::Error) -> EngineError {
    let reason = error.to_string();
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => EngineError::Unusable {
            reason: format!(
                "the file is damaged ({reason}): stop the service, and restore DATABASE_PATH from \
                 a backup, or move it away to start with an empty one"
            ),
        },
        _ if is_damage(error) => EngineError::Damaged { reason },
        _ => EngineError::Unavailable { reason },
    }
}

/// The job in a row of [`COLUMNS`].
pub(super) fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let id: String = row.get(0)?;
    let request: String = row.get(1)?;
    let state: String = row.get(3)?;
    let percent: u8 = row.get(5)?;
    let error: Option<String> = row.get(6)?;
    let error = error.as_deref().map(|text| {
        serde_json::from_str::<JobError>(text).map_err(|error| malformed(6, error.to_string()))
    });
    let state = match (state.as_str(), error.transpose()?) {
        ("queued", _) => JobState::Queued,
        ("running", _) => JobState::Running,
        ("completed", _) => JobState::Completed,
        ("failed", Some(error)) => JobState::Failed(error),
        ("cancelled", _) => JobState::Cancelled,
        (other, _) => return Err(malformed(3, format!("no state: {other}"))),
    };
    Ok(Job {
        id: JobId::parse(&id).map_err(|error| malformed(0, error.to_string()))?,
        request: JobRequest::from_stored(&request).map_err(|reason| malformed(1, reason))?,
        base_url: row.get(2)?,
        progress: progress(&state, percent),
        state,
        attempts: row.get(4)?,
        created_at: time(row.get(7)?),
        finished_at: row.get::<_, Option<i64>>(8)?.map(time),
        client: row.get(9)?,
        request_id: row.get(10)?,
        batch: id_in(row, 11)?,
        result: object_in(row, 12)?,
        cached: row.get(13)?,
        generation: row.get(14)?,
    })
}

fn id_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<JobId>> {
    let text: Option<String> = row.get(column)?;
    let id = text.map(|text| JobId::parse(&text));
    id.transpose()
        .map_err(|error| malformed(column, error.to_string()))
}

/// The result named in a column.
pub(super) fn object_in(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<ResultObject>> {
    let text: Option<String> = row.get(column)?;
    let object = text.map(|text| {
        ResultObject::parse(&text).ok_or_else(|| malformed(column, format!("no result: {text}")))
    });
    object.transpose()
}

/// The batch of that name.
pub(super) fn find_batch(connection: &Connection, id: &str) -> rusqlite::Result<Option<Batch>> {
    connection
        .prepare_cached(
            "SELECT id, callback_url, base_url, total, completed, failed, created_at, finished_at, \
             generation FROM batches WHERE id = ?1",
        )?
        .query_row([id], batch)
        .optional()
}

fn batch(row: &Row<'_>) -> rusqlite::Result<Batch> {
    let id: String = row.get(0)?;
    let callback_url: Option<String> = row.get(1)?;
    let callback_url = callback_url.map(|text| Url::parse(&text)).transpose();
    Ok(Batch {
        id: JobId::parse(&id).map_err(|error| malformed(0, error.to_string()))?,
        callback_url: callback_url
            .map_err(|error| malformed(1, error.to_string()))?
            .map(RedactedUrl::new),
        base_url: row.get(2)?,
        counts: Counts {
            total: row.get(3)?,
            completed: row.get(4)?,
            failed: row.get(5)?,
        },
        created_at: time(row.get(6)?),
        finished_at: row.get::<_, Option<i64>>(7)?.map(time),
        generation: row.get(8)?,
    })
}

fn progress(state: &JobState, percent: u8) -> Progress {
    match state {
        JobState::Queued => Progress::QUEUED,
        JobState::Running => Progress::STARTED,
        JobState::Completed => spinelift_mesh::Step::Finalize.into(),
        JobState::Failed(_) | JobState::Cancelled => Progress {
            percent,
            message: state
                .error()
                .map_or_else(String::new, |error| error.message)
                .into(),
        },
    }
}

/// Milliseconds since 1970, as the table keeps times.
pub(super) fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

pub(super) fn malformed(column: usize, reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}
