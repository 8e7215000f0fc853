//! Cancelling jobs that have not ended, and forgetting those that have.

use super::ending::{self, Ending};
use super::memory::{Ended, Memory, Queued, Waiting};
use super::writer::Writer;
use super::{results, rows};
use crate::engine::{Cancelled, Deleted, DeliveryId, EngineError, Expired, ResultObject};
use crate::job::JobId;
use chrono::{DateTime, Utc};
use rusqlite::{Connection, OptionalExtension};
use std::mem::take;
use std::sync::Arc;

/// Most jobs that are forgotten in one write: others wait for it.
const AT_ONCE: usize = 200;

/// Ends a job that has not ended, or all of a batch.
pub(super) async fn cancel(
    writer: &Writer,
    memory: Arc<Memory>,
    id: JobId,
) -> Result<Option<Cancelled>, EngineError> {
    let cancelled = writer.write(
        move |connection, _| {
            let mut ended = Ended::default();
            let cancelled = write_cancel(connection, &id, &memory, &mut ended)?;
            Ok((cancelled, ended))
        },
        |(_, ended), memory| memory.ended(take(ended)),
    );
    Ok(cancelled.await?.0)
}

fn write_cancel(
    connection: &Connection,
    id: &JobId,
    memory: &Memory,
    ended: &mut Ended,
) -> rusqlite::Result<Option<Cancelled>> {
    let unfinished = if rows::exists(connection, id.as_str())? {
        unfinished(connection, "id", id)?
    } else if rows::find_batch(connection, id.as_str())?.is_some() {
        unfinished(connection, "batch", id)?
    } else {
        return Ok(None);
    };
    if unfinished.is_empty() {
        return Ok(Some(Cancelled::AlreadyEnded));
    }
    for Unfinished { job, queued } in unfinished {
        let made = memory.live.latest(&job.id.id);
        let percent = made.map_or(0, |(_, progress)| progress.percent);
        let id = job.id.id.as_str();
        ending::end(connection, id, Ending::Cancelled { percent }, ended)?;
        if queued {
            ended.unqueued.push(job);
        } else {
            ended.stopped.push(job.id);
        }
    }
    Ok(Some(Cancelled::Now))
}

struct Unfinished {
    job: Waiting<Queued>,
    queued: bool,
}

fn unfinished(
    connection: &Connection,
    column: &str,
    value: &JobId,
) -> rusqlite::Result<Vec<Unfinished>> {
    connection
        .prepare_cached(&format!(
            "SELECT {}, state = 'queued' FROM jobs \
             WHERE {column} = ?1 AND state IN ('queued', 'running')",
            rows::WAITING
        ))?
        .query_map([value.as_str()], |row| {
            Ok(Unfinished {
                job: rows::waiting(row)?,
                queued: row.get(4)?,
            })
        })?
        .collect()
}

/// Forgets a job that has ended, or a batch with all of its jobs.
pub(super) async fn delete(writer: &Writer, id: JobId) -> Result<Option<Deleted>, EngineError> {
    let deleted = writer.write(
        move |connection, _| {
            let mut gone = Vec::new();
            let deleted = write_delete(connection, id.as_str(), &mut gone)?;
            Ok((deleted, gone))
        },
        |(_, gone), memory| {
            for delivery in gone.iter() {
                memory.outgoing.remove(delivery);
            }
        },
    );
    Ok(deleted.await?.0)
}

fn write_delete(
    connection: &Connection,
    id: &str,
    gone: &mut Vec<Waiting<DeliveryId>>,
) -> rusqlite::Result<Option<Deleted>> {
    let state: Option<String> = connection
        .prepare_cached("SELECT state FROM jobs WHERE id = ?1")?
        .query_row([id], |row| row.get(0))
        .optional()?;
    let mut unused = Vec::new();
    match state.as_deref() {
        Some("queued" | "running") => return Ok(Some(Deleted::Unfinished)),
        Some(_) => forget(connection, id, false, gone, &mut unused)?,
        None => match rows::find_batch(connection, id)? {
            None => return Ok(None),
            Some(batch) if batch.finished_at.is_none() => return Ok(Some(Deleted::Unfinished)),
            Some(_) => {
                let jobs: Vec<String> = connection
                    .prepare_cached("SELECT id FROM jobs WHERE batch = ?1")?
                    .query_map([id], |row| row.get(0))?
                    .collect::<rusqlite::Result<_>>()?;
                for job in jobs {
                    forget(connection, &job, false, gone, &mut unused)?;
                }
                forget_batch(connection, id, gone)?;
            }
        },
    }
    Ok(Some(Deleted::Gone(unused)))
}

/// Forgets some of what ended before a time. What somebody has still to be told of stays.
pub(super) async fn expire(writer: &Writer, before: DateTime<Utc>) -> Result<Expired, EngineError> {
    let before = before.timestamp_millis();
    let expired = writer.write(
        move |connection, _| write_expire(connection, before),
        |_, _| {},
    );
    expired.await
}

fn write_expire(connection: &Connection, before: i64) -> rusqlite::Result<Expired> {
    let mut expired = Expired::default();
    let jobs = told_and_ended(connection, "jobs", before)?;
    let batches = told_and_ended(connection, "batches", before)?;
    expired.gone = jobs.len() + batches.len();
    let mut deliveries = Vec::new();
    for job in jobs {
        forget(connection, &job, true, &mut deliveries, &mut expired.unused)?;
    }
    for batch in batches {
        forget_batch(connection, &batch, &mut deliveries)?;
    }
    Ok(expired)
}

fn told_and_ended(
    connection: &Connection,
    table: &str,
    before: i64,
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached(&format!(
            "SELECT id FROM {table} WHERE finished_at < ?1 AND NOT EXISTS \
             (SELECT 1 FROM deliveries WHERE job = {table}.id AND state = 'pending') \
             ORDER BY finished_at LIMIT {AT_ONCE}"
        ))?
        .query_map([before], |row| row.get(0))?
        .collect()
}

/// Forgets a job and what is known of it; its result as well, if nothing needs it: the cache does
/// if `keep_cached`.
fn forget(
    connection: &Connection,
    id: &str,
    keep_cached: bool,
    gone: &mut Vec<Waiting<DeliveryId>>,
    unused: &mut Vec<ResultObject>,
) -> rusqlite::Result<()> {
    forget_deliveries(connection, id, gone)?;
    let result = connection
        .prepare_cached("DELETE FROM jobs WHERE id = ?1 RETURNING result")?
        .query_row([id], |row| rows::object_in(row, 0))
        .optional()?;
    if let Some(Some(object)) = result
        && results::release(connection, &object, keep_cached)?
    {
        unused.push(object);
    }
    Ok(())
}

fn forget_batch(
    connection: &Connection,
    id: &str,
    gone: &mut Vec<Waiting<DeliveryId>>,
) -> rusqlite::Result<()> {
    forget_deliveries(connection, id, gone)?;
    connection
        .prepare_cached("DELETE FROM batches WHERE id = ?1")?
        .execute([id])?;
    Ok(())
}

fn forget_deliveries(
    connection: &Connection,
    job: &str,
    gone: &mut Vec<Waiting<DeliveryId>>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "DELETE FROM attempts WHERE delivery IN (SELECT id FROM deliveries WHERE job = ?1)",
        )?
        .execute([job])?;
    let mut forgotten = connection
        .prepare_cached("DELETE FROM deliveries WHERE job = ?1 RETURNING id, receiver")?;
    for row in forgotten.query_map([job], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))? {
        let (id, server) = row?;
        let id = DeliveryId::new(&id);
        gone.push(Waiting::at(server, id));
    }
    Ok(())
}
