//! Accepting jobs and batches.

use super::memory::{Memory, Queued, Waiting};
use super::rows;
use super::writer::{Room, Writer};
use crate::clock;
use crate::engine::{Accepted, AcceptedBatch, EngineError, NewBatch, NewJob, new_generation};
use crate::fault;
use crate::job::{JobId, JobRequest};
use crate::redacted::RedactedUrl;
use rusqlite::{Connection, OptionalExtension};

/// Stores a new job.
pub(super) async fn job(writer: &Writer, job: NewJob) -> Result<Accepted, EngineError> {
    let waiting = waiting(&job.id, &job.request, &job.client);
    let generation = waiting.id.generation;
    let client = job.client.clone();
    let accepted = writer.write(
        move |connection, room| write_job(connection, room, &job, generation),
        move |accepted, memory| {
            if *accepted == Ok(Accepted::Created) {
                memory.clients.add(&client, 1);
                memory.queue.push(waiting);
            }
        },
    );
    accepted.await?
}

fn write_job(
    connection: &Connection,
    room: &mut Room<'_>,
    job: &NewJob,
    generation: u64,
) -> rusqlite::Result<Result<Accepted, EngineError>> {
    // A known job is answered for even when there is no room for a new one.
    if let Some(known) = rows::find(connection, job.id.as_str())? {
        return Ok(Ok(
            if known.request == job.request && known.batch.is_none() {
                Accepted::Existing(Box::new(known))
            } else {
                Accepted::Conflict
            },
        ));
    }
    if is_batch(connection, &job.id)? {
        return Ok(Ok(Accepted::Conflict));
    }
    if let Err(full) = room.check(&job.client, 1) {
        return Ok(Err(full));
    }
    let common = Common {
        base_url: &job.base_url,
        client: &job.client,
        request_id: job.request_id.as_deref(),
        batch: None,
    };
    insert(connection, &job.id, generation, &job.request, &common)?;
    fault::blocking_point("accept-written");
    room.take(&job.client, 1);
    Ok(Ok(Accepted::Created))
}

/// Stores a new batch with its jobs.
pub(super) async fn batch(writer: &Writer, batch: NewBatch) -> Result<AcceptedBatch, EngineError> {
    let waiting: Vec<_> = batch
        .jobs
        .iter()
        .map(|(id, request)| waiting(id, request, &batch.client))
        .collect();
    let generations: Vec<_> = waiting.iter().map(|job| job.id.generation).collect();
    let client = batch.client.clone();
    let accepted = writer.write(
        move |connection, room| write_batch(connection, room, &batch, &generations),
        move |accepted, memory: &Memory| {
            if *accepted == Ok(AcceptedBatch::Created) {
                memory.clients.add(&client, waiting.len());
                for job in waiting {
                    memory.queue.push(job);
                }
            }
        },
    );
    accepted.await?
}

fn write_batch(
    connection: &Connection,
    room: &mut Room<'_>,
    batch: &NewBatch,
    generations: &[u64],
) -> rusqlite::Result<Result<AcceptedBatch, EngineError>> {
    let fingerprint = batch.fingerprint();
    let known: Option<[u8; 32]> = connection
        .prepare_cached("SELECT fingerprint FROM batches WHERE id = ?1")?
        .query_row([batch.id.as_str()], |row| row.get(0))
        .optional()?;
    if let Some(known) = known {
        let same = known == fingerprint;
        let known = rows::find_batch(connection, batch.id.as_str())?.filter(|_| same);
        return Ok(Ok(known.map_or_else(
            || AcceptedBatch::Conflict(batch.id.clone()),
            |known| AcceptedBatch::Existing(Box::new(known)),
        )));
    }
    let names = std::iter::once(&batch.id).chain(batch.jobs.iter().map(|(id, _)| id));
    for id in names {
        if rows::exists(connection, id.as_str())? || is_batch(connection, id)? {
            return Ok(Ok(AcceptedBatch::Conflict(id.clone())));
        }
    }
    if let Err(full) = room.check(&batch.client, batch.jobs.len()) {
        return Ok(Err(full));
    }
    connection
        .prepare_cached(
            "INSERT INTO batches (id, fingerprint, callback_url, receiver, base_url, total, \
             created_at, generation) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute((
            batch.id.as_str(),
            fingerprint,
            batch.callback_url.as_ref().map(|url| url.reveal().as_str()),
            batch.callback_url.as_ref().map(RedactedUrl::receiver),
            &batch.base_url,
            u32::try_from(batch.jobs.len()).unwrap_or(u32::MAX),
            clock::now().timestamp_millis(),
            new_generation(),
        ))?;
    let common = Common {
        base_url: &batch.base_url,
        client: &batch.client,
        request_id: batch.request_id.as_deref(),
        batch: Some(&batch.id),
    };
    for ((id, request), generation) in batch.jobs.iter().zip(generations) {
        insert(connection, id, *generation, request, &common)?;
    }
    room.take(&batch.client, batch.jobs.len());
    Ok(Ok(AcceptedBatch::Created))
}

/// The place in the queue of a job that is accepted now.
fn waiting(id: &JobId, request: &JobRequest, client: &str) -> Waiting<Queued> {
    Waiting {
        id: Queued {
            id: id.clone(),
            generation: new_generation(),
        },
        client: client.to_owned(),
        server: request.source.server(),
    }
}

fn is_batch(connection: &Connection, id: &JobId) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM batches WHERE id = ?1")?
        .exists([id.as_str()])
}

/// What the jobs of one request have in common.
struct Common<'a> {
    base_url: &'a str,
    client: &'a str,
    request_id: Option<&'a str>,
    batch: Option<&'a JobId>,
}

fn insert(
    connection: &Connection,
    id: &JobId,
    generation: u64,
    request: &JobRequest,
    common: &Common<'_>,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO jobs (id, request, base_url, client, request_id, server, receiver, batch, \
             state, created_at, generation) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'queued', ?9, ?10)",
        )?
        .execute((
            id.as_str(),
            request.to_stored(),
            common.base_url,
            common.client,
            common.request_id,
            request.source.server(),
            request.receiver(),
            common.batch.map(JobId::as_str),
            clock::now().timestamp_millis(),
            generation,
        ))?;
    Ok(())
}
