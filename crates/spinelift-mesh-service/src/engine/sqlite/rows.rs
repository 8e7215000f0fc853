//! Rows of the table `jobs`, and the jobs they stand for.

use crate::job::{Job, JobError, JobId, JobRequest, JobState, Progress};
use chrono::{DateTime, Utc};
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row};

/// The columns that [`job`] reads, in its order.
pub(super) const COLUMNS: &str =
    "id, request, base_url, state, attempts, percent, error, created_at, finished_at";

/// The job of that name.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Job>> {
    connection
        .prepare_cached(&format!("SELECT {COLUMNS} FROM jobs WHERE id = ?1"))?
        .query_row([id], job)
        .optional()
}

/// Whether a row was found that is no job of ours, as opposed to no row being readable at all.
pub(super) fn is_damage(error: &rusqlite::Error) -> bool {
    matches!(
        error,
        rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
    )
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
    })
}

fn progress(state: &JobState, percent: u8) -> Progress {
    match state {
        JobState::Queued => Progress::QUEUED,
        JobState::Running => Progress::STARTED,
        JobState::Completed => spinelift_mesh::Step::Finalize.into(),
        JobState::Failed(error) => Progress {
            percent,
            message: error.message.clone().into(),
        },
    }
}

/// Milliseconds since 1970, as the table keeps times.
fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

fn malformed(column: usize, reason: String) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, Type::Text, reason.into())
}
