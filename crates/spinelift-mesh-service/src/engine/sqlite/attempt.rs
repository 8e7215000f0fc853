//! Attempts at jobs: how they begin and end.

use super::ending::{self, Ending, follow};
use super::memory::{Ended, Queued, Waiting};
use super::rows;
use super::writer::Writer;
use crate::clock;
use crate::engine::{Claim, EngineError, Fenced, Outcome, ResultObject, StoredResult};
use crate::job::{Job, JobError};
use rusqlite::Connection;
use std::mem::take;

/// An attempt that begins.
#[derive(Default)]
struct Start {
    job: Option<Job>,
    claim: Option<Claim>,
    ended: Ended,
}

/// Begins an attempt: the count is on disk before the job runs. `None` if the job does not wait
/// any more.
pub(super) async fn start(writer: &Writer, job: Queued) -> Result<Option<Claim>, EngineError> {
    let started = writer.write(
        move |connection, _| {
            let mut start = Start::default();
            start.job = write_start(connection, &job, &mut start.ended)?;
            Ok(start)
        },
        // On this thread, so that a cancel that is written next finds what it has to stop.
        |start, memory| {
            start.claim = start.job.take().map(|job| memory.live.begin(job));
            memory.ended(take(&mut start.ended));
        },
    );
    Ok(started.await?.claim)
}

fn write_start(
    connection: &Connection,
    job: &Queued,
    ended: &mut Ended,
) -> rusqlite::Result<Option<Job>> {
    let id = &job.id;
    let started = connection
        .prepare_cached(
            "UPDATE jobs SET state = 'running', attempts = attempts + 1, \
             started_at = max(?2, created_at) \
             WHERE id = ?1 AND generation = ?3 AND state = 'queued'",
        )?
        .execute((id.as_str(), clock::now().timestamp_millis(), job.generation))?;
    if started == 0 {
        return Ok(None);
    }
    match rows::find(connection, id.as_str()) {
        Err(error) if rows::is_damage(&error) => {
            // Left in the queue, it would be the first in it for ever.
            tracing::error!(job_id = %id, %error, "a queued job cannot be read; it failed");
            let error = JobError::internal();
            ending::end(connection, id.as_str(), Ending::Failed(&error), ended)?;
            Ok(None)
        }
        found => found,
    }
}

/// Ends an attempt and its job, if the attempt is still the latest.
pub(super) async fn finish(
    writer: &Writer,
    claim: &Claim,
    outcome: Outcome,
) -> Result<Fenced, EngineError> {
    let job = claim.job.clone();
    let ended_job = job.clone();
    let finished = writer.write(
        move |connection, _| {
            let mut ended = Ended::default();
            let fenced = write_finish(connection, &job, &outcome, &mut ended)?;
            Ok((fenced, ended))
        },
        move |(fenced, ended), memory| {
            if *fenced != Fenced::ResultGone {
                memory.live.end(&ended_job);
            }
            memory.ended(take(ended));
        },
    );
    Ok(finished.await?.0)
}

fn write_finish(
    connection: &Connection,
    job: &Job,
    outcome: &Outcome,
    ended: &mut Ended,
) -> rusqlite::Result<Fenced> {
    let id = job.id.as_str();
    let is_latest = connection
        .prepare_cached(
            "SELECT 1 FROM jobs WHERE id = ?1 AND generation = ?2 AND attempts = ?3 \
             AND state = 'running'",
        )?
        .exists((id, job.generation, job.attempts))?;
    if !is_latest {
        return Ok(Fenced::Superseded);
    }
    let now = clock::now().timestamp_millis();
    match outcome {
        Outcome::Completed(result) => {
            let Some((object, cached)) = record(connection, result, now)? else {
                return Ok(Fenced::ResultGone);
            };
            connection
                .prepare_cached(
                    "UPDATE jobs SET state = 'completed', percent = 100, result = ?2, \
                     cached = ?3, finished_at = max(?4, started_at) WHERE id = ?1",
                )?
                .execute((id, object.as_str(), cached, now))?;
        }
        Outcome::Failed { error, percent } => {
            connection
                .prepare_cached(
                    "UPDATE jobs SET state = 'failed', percent = ?2, error = ?3, \
                     finished_at = max(?4, started_at) WHERE id = ?1",
                )?
                .execute((id, percent, ending::to_text(error)?, now))?;
        }
    }
    let completed = matches!(outcome, Outcome::Completed(_));
    follow(connection, id, completed, ended)?;
    Ok(Fenced::Recorded)
}

/// Enters a result into the index; its name and whether it was there. `None` if it was, and is
/// there no more.
fn record<'a>(
    connection: &Connection,
    result: &'a StoredResult,
    now: i64,
) -> rusqlite::Result<Option<(&'a ResultObject, bool)>> {
    match result {
        StoredResult::New { key, object, bytes } => {
            connection
                .prepare_cached(
                    "INSERT INTO results (object, key, bytes, used_at, cached) VALUES \
                     (?1, ?2, ?3, ?4, NOT EXISTS \
                     (SELECT 1 FROM results WHERE key = ?2 AND cached = 1))",
                )?
                .execute((object.as_str(), key.as_str(), *bytes, now))?;
            Ok(Some((object, false)))
        }
        StoredResult::Cached(object) => {
            let known = connection
                .prepare_cached("UPDATE results SET used_at = ?2 WHERE object = ?1 AND cached = 1")?
                .execute((object.as_str(), now))?;
            Ok((known > 0).then_some((object, true)))
        }
    }
}

/// Gives a job back as if the attempt had never been made.
pub(super) async fn release(writer: &Writer, claim: &Claim) -> Result<Fenced, EngineError> {
    let job = claim.job.clone();
    let released_job = job.clone();
    let released = writer.write(
        move |connection, _| {
            let released = connection
                .prepare_cached(
                    "UPDATE jobs SET state = 'queued', attempts = attempts - 1 \
                     WHERE id = ?1 AND generation = ?2 AND attempts = ?3 AND state = 'running'",
                )?
                .execute((job.id.as_str(), job.generation, job.attempts))?;
            Ok(match released {
                0 => Fenced::Superseded,
                _ => Fenced::Recorded,
            })
        },
        move |fenced, memory| {
            memory.live.end(&released_job);
            if *fenced == Fenced::Recorded {
                memory.queue.put_back(Waiting::of(&released_job));
            }
        },
    );
    released.await
}
