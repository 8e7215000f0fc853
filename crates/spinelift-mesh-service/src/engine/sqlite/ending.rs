//! What the end of a job brings about in the file, whoever ended it.

use super::memory::{Ended, Waiting};
use crate::clock;
use crate::engine::DeliveryId;
use crate::job::{JobError, JobId};
use rusqlite::Connection;

/// How a job ends without an attempt having ended it.
#[derive(Clone, Copy)]
pub(super) enum Ending<'a> {
    Failed(&'a JobError),
    Cancelled { percent: u8 },
}

/// Ends a job that has not ended; not if it has. Not before it began, even if the clock was set
/// back.
pub(super) fn end(
    connection: &Connection,
    id: &str,
    ending: Ending<'_>,
    ended: &mut Ended,
) -> rusqlite::Result<()> {
    let (state, percent, error) = match ending {
        Ending::Failed(error) => ("failed", None, Some(to_text(error)?)),
        Ending::Cancelled { percent } => ("cancelled", Some(percent), None),
    };
    let changed = connection
        .prepare_cached(
            "UPDATE jobs SET state = ?2, percent = coalesce(?3, percent), error = ?4, \
             finished_at = max(?5, coalesce(started_at, created_at)) \
             WHERE id = ?1 AND state IN ('queued', 'running')",
        )?
        .execute((id, state, percent, error, clock::now().timestamp_millis()))?;
    match changed {
        0 => Ok(()),
        _ => follow(connection, id, false, ended),
    }
}

/// The error as the table keeps it.
pub(super) fn to_text(error: &JobError) -> rusqlite::Result<String> {
    serde_json::to_string(error)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

/// A job has just ended: its receiver is to be told, and its batch may have ended with it.
pub(super) fn follow(
    connection: &Connection,
    id: &str,
    completed: bool,
    ended: &mut Ended,
) -> rusqlite::Result<()> {
    let (client, receiver, batch, generation): (String, Option<String>, Option<String>, u64) =
        connection
            .prepare_cached("SELECT client, receiver, batch, generation FROM jobs WHERE id = ?1")?
            .query_row([id], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?))
            })?;
    ended.clients.push(client);
    if let Some(receiver) = receiver {
        let delivery = deliver(connection, id, generation, receiver)?;
        ended.deliveries.push(delivery);
    }
    match batch {
        Some(batch) => count(connection, &batch, completed, ended),
        None => Ok(()),
    }
}

fn count(
    connection: &Connection,
    batch: &str,
    completed: bool,
    ended: &mut Ended,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "UPDATE batches SET completed = completed + ?2, failed = failed + ?3 WHERE id = ?1",
        )?
        .execute((batch, completed, !completed))?;
    let all = connection
        .prepare_cached(
            "UPDATE batches SET finished_at = max(?2, created_at) \
             WHERE id = ?1 AND finished_at IS NULL AND completed + failed >= total",
        )?
        .execute((batch, clock::now().timestamp_millis()))?;
    if all > 0 {
        let (receiver, generation): (Option<String>, u64) = connection
            .prepare_cached("SELECT receiver, generation FROM batches WHERE id = ?1")?
            .query_row([batch], |row| Ok((row.get(0)?, row.get(1)?)))?;
        if let Some(receiver) = receiver {
            let delivery = deliver(connection, batch, generation, receiver)?;
            ended.deliveries.push(delivery);
        }
    }
    ended.batches.extend(JobId::parse(batch).ok());
    Ok(())
}

fn deliver(
    connection: &Connection,
    job: &str,
    generation: u64,
    receiver: String,
) -> rusqlite::Result<Waiting<DeliveryId>> {
    let id = DeliveryId::generate();
    let now = clock::now().timestamp_millis();
    connection
        .prepare_cached(
            "INSERT INTO deliveries (id, job, generation, receiver, state, created_at, next_at) \
             VALUES (?1, ?2, ?3, ?4, 'pending', ?5, ?5)",
        )?
        .execute((id.as_str(), job, generation, &receiver, now))?;
    Ok(Waiting::at(receiver, id))
}
