//! The outbox in the file.

use super::memory::Waiting;
use super::rows;
use super::writer::Writer;
use crate::clock;
use crate::engine::{
    Attempt, Delivery, DeliveryId, DeliveryRecord, DeliveryState, EngineError, Next, Replayed,
};
use crate::job::JobId;
use rusqlite::{Connection, OptionalExtension, Row};
use std::time::Duration;

/// Most attempts of one delivery that are kept.
const LOG: usize = 50;

/// The delivery of that name, if it is still to be made.
pub(super) fn find(connection: &Connection, id: &str) -> rusqlite::Result<Option<Delivery>> {
    connection
        .prepare_cached(
            "SELECT id, job, receiver, attempts, created_at, generation FROM deliveries \
             WHERE id = ?1 AND state = 'pending'",
        )?
        .query_row([id], delivery)
        .optional()
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let (id, of): (String, String) = (row.get(0)?, row.get(1)?);
    Ok(Delivery {
        id: DeliveryId::new(&id),
        of: JobId::parse(&of).map_err(|error| rows::malformed(1, error.to_string()))?,
        receiver: row.get(2)?,
        attempts: row.get(3)?,
        created_at: rows::time(row.get(4)?),
        generation: row.get(5)?,
    })
}

/// Those that are to be made, with the time until each is due: no longer than it was to wait when
/// that was noted, because the clock may have been set back since.
pub(super) fn pending(
    connection: &Connection,
) -> rusqlite::Result<Vec<(Waiting<DeliveryId>, Duration)>> {
    let now = clock::now().timestamp_millis();
    connection
        .prepare(
            "SELECT id, receiver, next_at, coalesce((SELECT at FROM attempts \
             WHERE delivery = deliveries.id ORDER BY seq DESC LIMIT 1), created_at) \
             FROM deliveries WHERE state = 'pending' ORDER BY id",
        )?
        .query_map([], |row| {
            let id = DeliveryId::new(&row.get::<_, String>(0)?);
            let server = row.get(1)?;
            let (next_at, noted_at): (i64, i64) = (row.get(2)?, row.get(3)?);
            let wait = u64::try_from(next_at - now.max(noted_at)).unwrap_or(0);
            Ok((Waiting::at(server, id), Duration::from_millis(wait)))
        })?
        .collect()
}

/// Gives up a delivery that cannot be read.
pub(super) async fn give_up(writer: &Writer, id: DeliveryId) -> Result<(), EngineError> {
    let write = writer.write(
        move |connection, _| {
            connection
                .prepare_cached(
                    "UPDATE deliveries SET state = 'failed', next_at = NULL WHERE id = ?1",
                )?
                .execute([id.as_str()])
        },
        |_, _| {},
    );
    write.await.map(|_| ())
}

/// Records an attempt and what follows it.
pub(super) async fn attempted(
    writer: &Writer,
    delivery: &Delivery,
    attempt: Attempt,
    next: Next,
) -> Result<(), EngineError> {
    let (id, attempts) = (delivery.id.clone(), delivery.attempts);
    let waiting = Waiting::at(delivery.receiver.clone(), id.clone());
    let write = writer.write(
        move |connection, _| write_attempt(connection, id.as_str(), attempts, &attempt, next),
        move |known, memory| {
            if let (true, Next::RetryAfter(delay)) = (*known, next) {
                memory.outgoing.push(waiting, delay);
            }
        },
    );
    write.await.map(|_| ())
}

/// Whether the delivery is still known.
fn write_attempt(
    connection: &Connection,
    delivery: &str,
    attempts: u32,
    attempt: &Attempt,
    next: Next,
) -> rusqlite::Result<bool> {
    let (state, delay) = match next {
        Next::Delivered => ("delivered", None),
        Next::GiveUp => ("failed", None),
        Next::RetryAfter(delay) => ("pending", Some(delay)),
    };
    let now = clock::now().timestamp_millis();
    let next_at = delay.map(|delay| {
        let delay = i64::try_from(delay.as_millis()).unwrap_or(i64::MAX);
        now.saturating_add(delay)
    });
    // One that was replayed meanwhile waits for its turn, and is not given up.
    let known = connection
        .prepare_cached(
            "UPDATE deliveries SET \
             state = CASE WHEN ?2 = 'failed' AND attempts < ?4 THEN state ELSE ?2 END, \
             next_at = CASE WHEN ?2 = 'failed' AND attempts < ?4 THEN next_at ELSE ?3 END, \
             attempts = attempts + 1 WHERE id = ?1",
        )?
        .execute((delivery, state, next_at, attempts))?;
    if known == 0 {
        return Ok(false);
    }
    connection
        .prepare_cached(
            "INSERT INTO attempts (delivery, at, milliseconds, status, error) \
             VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute((
            delivery,
            attempt.at.timestamp_millis(),
            u32::try_from(attempt.took.as_millis()).unwrap_or(u32::MAX),
            attempt.status,
            attempt.error.as_deref(),
        ))?;
    connection
        .prepare_cached(&format!(
            "DELETE FROM attempts WHERE delivery = ?1 AND seq <= (SELECT seq FROM attempts \
             WHERE delivery = ?1 ORDER BY seq DESC LIMIT 1 OFFSET {LOG})"
        ))?
        .execute([delivery])?;
    Ok(true)
}

/// All deliveries of a job, with their attempts.
pub(super) fn list(connection: &Connection, job: &str) -> rusqlite::Result<Vec<DeliveryRecord>> {
    // Both are read as of one moment: an attempt is not there without what followed it.
    let moment = connection.unchecked_transaction()?;
    let connection = &*moment;
    let mut records = connection
        .prepare_cached(
            "SELECT id, job, receiver, attempts, created_at, generation, state, next_at FROM deliveries \
             WHERE job = ?1 ORDER BY created_at, id",
        )?
        .query_map([job], record)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    for record in &mut records {
        record.log = connection
            .prepare_cached(
                "SELECT at, milliseconds, status, error FROM attempts WHERE delivery = ?1 \
                 ORDER BY seq",
            )?
            .query_map([record.delivery.id.as_str()], |row| {
                Ok(Attempt {
                    at: rows::time(row.get(0)?),
                    took: Duration::from_millis(row.get(1)?),
                    status: row.get(2)?,
                    error: row.get(3)?,
                })
            })?
            .collect::<rusqlite::Result<_>>()?;
    }
    Ok(records)
}

fn record(row: &Row<'_>) -> rusqlite::Result<DeliveryRecord> {
    let state: String = row.get(6)?;
    Ok(DeliveryRecord {
        delivery: delivery(row)?,
        state: match state.as_str() {
            "pending" => DeliveryState::Pending,
            "delivered" => DeliveryState::Delivered,
            "failed" => DeliveryState::Failed,
            other => return Err(rows::malformed(6, format!("no state: {other}"))),
        },
        next_at: row.get::<_, Option<i64>>(7)?.map(rows::time),
        log: Vec::new(),
    })
}

/// Makes a delivery due once more.
pub(super) async fn replay(
    writer: &Writer,
    job: JobId,
    delivery: DeliveryId,
) -> Result<Replayed, EngineError> {
    let write = writer.write(
        move |connection, _| write_replay(connection, job.as_str(), delivery),
        |replayed, memory| {
            if let Some((_, delivery)) = replayed {
                // One that is being made at the moment is not taken out, and made twice.
                memory.outgoing.remove(delivery);
                memory.outgoing.push(delivery.clone(), Duration::ZERO);
            }
        },
    );
    Ok(match write.await? {
        None => Replayed::Unknown,
        Some((true, _)) => Replayed::Hastened,
        Some((false, _)) => Replayed::Now,
    })
}

/// Whether it was pending, and itself.
fn write_replay(
    connection: &Connection,
    job: &str,
    id: DeliveryId,
) -> rusqlite::Result<Option<(bool, Waiting<DeliveryId>)>> {
    let known: Option<(bool, String)> = connection
        .prepare_cached(
            "SELECT state = 'pending', receiver FROM deliveries WHERE id = ?1 AND job = ?2",
        )?
        .query_row((id.as_str(), job), |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((was_pending, server)) = known else {
        return Ok(None);
    };
    connection
        .prepare_cached(
            "UPDATE deliveries SET state = 'pending', attempts = 0, next_at = ?2 WHERE id = ?1",
        )?
        .execute((id.as_str(), clock::now().timestamp_millis()))?;
    Ok(Some((was_pending, Waiting::at(server, id))))
}
