//! What can be written: accept, start, finish.

use super::queue::Queue;
use super::rows;
use super::schema;
use super::writer::{Command, Group, Reply};
use crate::engine::{Accepted, EngineError, Fenced, NewJob, Outcome};
use crate::job::{Job, JobError, JobId};
use chrono::Utc;

/// Stores a new job.
pub(super) struct Accept {
    job: NewJob,
    answer: Option<Result<Accepted, EngineError>>,
    reply: Reply<Accepted>,
}

impl Accept {
    pub(super) fn new(job: NewJob, reply: Reply<Accepted>) -> Self {
        Self {
            job,
            answer: None,
            reply,
        }
    }

    fn write(&self, group: &mut Group<'_>) -> rusqlite::Result<Result<Accepted, EngineError>> {
        if group.room == 0 {
            // A known job is answered for even when there is no room for a new one.
            return Ok(self.find(group)?.and_then(|known| {
                known.ok_or(EngineError::QueueFull {
                    limit: group.queue_limit,
                })
            }));
        }
        let inserted = group
            .transaction
            .prepare_cached(
                "INSERT INTO jobs (id, request, base_url, state, created_at) \
                 VALUES (?1, ?2, ?3, 'queued', ?4) ON CONFLICT (id) DO NOTHING",
            )?
            .execute((
                self.job.id.as_str(),
                self.job.request.to_stored(),
                &self.job.base_url,
                Utc::now().timestamp_millis(),
            ))?;
        if inserted == 1 {
            group.room -= 1;
            return Ok(Ok(Accepted::Created));
        }
        let vanished = || EngineError::Unavailable {
            reason: "a job is known and cannot be found".to_owned(),
        };
        Ok(self
            .find(group)?
            .and_then(|known| known.ok_or_else(vanished)))
    }

    /// What is known under the id. A row that cannot be read must not fail the others in the
    /// group, so that is an answer and no error.
    fn find(&self, group: &Group<'_>) -> rusqlite::Result<Result<Option<Accepted>, EngineError>> {
        match rows::find(&group.transaction, self.job.id.as_str()) {
            Ok(known) => Ok(Ok(known.map(|known| {
                if known.request == self.job.request {
                    Accepted::Existing(Box::new(known))
                } else {
                    Accepted::Conflict
                }
            }))),
            Err(error) if rows::is_damage(&error) => Ok(Err(EngineError::Damaged {
                reason: error.to_string(),
            })),
            Err(error) => Err(error),
        }
    }
}

impl Command for Accept {
    fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        self.answer = Some(self.write(group)?);
        Ok(())
    }

    fn settle(self: Box<Self>, result: Result<(), EngineError>, queue: &Queue) {
        let answer = result.and(self.answer.unwrap_or(Err(EngineError::Closed)));
        if answer == Ok(Accepted::Created) {
            queue.push(self.job.id);
        }
        // The client may have gone away; its job stays.
        let _ = self.reply.send(answer);
    }
}

/// Begins an attempt: the count is on disk before the job runs.
pub(super) struct Start {
    id: JobId,
    answer: Option<Box<Job>>,
    reply: Reply<Option<Box<Job>>>,
}

impl Start {
    pub(super) fn new(id: JobId, reply: Reply<Option<Box<Job>>>) -> Self {
        Self {
            id,
            answer: None,
            reply,
        }
    }
}

impl Command for Start {
    fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        let started = group
            .transaction
            .prepare_cached(
                "UPDATE jobs SET state = 'running', attempts = attempts + 1, started_at = ?2 \
                 WHERE id = ?1 AND state = 'queued'",
            )?
            .execute((self.id.as_str(), Utc::now().timestamp_millis()))?;
        if started == 0 {
            return Ok(());
        }
        match rows::find(&group.transaction, self.id.as_str()) {
            Ok(job) => self.answer = job.map(Box::new),
            Err(error) if rows::is_damage(&error) => {
                // Left in the queue, it would be the first in it for ever.
                tracing::error!(job_id = %self.id, %error, "a queued job cannot be read; it failed");
                schema::fail(&group.transaction, self.id.as_str(), &JobError::internal())?;
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    fn settle(self: Box<Self>, result: Result<(), EngineError>, _: &Queue) {
        // A worker that went away meanwhile belongs to a process that is ending: the next start
        // finds the job running and queues it again.
        let Self { answer, reply, .. } = *self;
        let _ = reply.send(result.map(|()| answer));
    }
}

/// How an attempt ends.
pub(super) enum Ending {
    /// With the job.
    Outcome(Outcome),
    /// Without having happened.
    Released,
}

/// Ends an attempt, if it is still the latest.
pub(super) struct Finish {
    id: JobId,
    attempt: u32,
    ending: Ending,
    answer: Fenced,
    reply: Reply<Fenced>,
}

impl Finish {
    pub(super) fn new(id: JobId, attempt: u32, ending: Ending, reply: Reply<Fenced>) -> Self {
        Self {
            id,
            attempt,
            ending,
            answer: Fenced::Superseded,
            reply,
        }
    }

    fn write(&self, group: &Group<'_>) -> rusqlite::Result<usize> {
        let (id, attempt) = (self.id.as_str(), self.attempt);
        let now = Utc::now().timestamp_millis();
        let (state, percent, error) = match &self.ending {
            Ending::Released => {
                return group
                    .transaction
                    .prepare_cached(
                        "UPDATE jobs SET state = 'queued', attempts = attempts - 1 \
                         WHERE id = ?1 AND attempts = ?2 AND state = 'running'",
                    )?
                    .execute((id, attempt));
            }
            Ending::Outcome(Outcome::Completed) => ("completed", 100, None),
            Ending::Outcome(Outcome::Failed { error, percent }) => {
                let text = serde_json::to_string(error)
                    .map_err(|e| rusqlite::Error::ToSqlConversionFailure(Box::new(e)))?;
                ("failed", *percent, Some(text))
            }
        };
        group
            .transaction
            .prepare_cached(
                "UPDATE jobs SET state = ?3, percent = ?4, error = ?5, finished_at = ?6 \
                 WHERE id = ?1 AND attempts = ?2 AND state = 'running'",
            )?
            .execute((id, attempt, state, percent, error, now))
    }
}

impl Command for Finish {
    fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
        self.answer = match self.write(group)? {
            0 => Fenced::Superseded,
            _ => Fenced::Recorded,
        };
        Ok(())
    }

    fn settle(self: Box<Self>, result: Result<(), EngineError>, queue: &Queue) {
        let answer = result.map(|()| self.answer);
        if matches!(
            (&self.ending, &answer),
            (Ending::Released, Ok(Fenced::Recorded))
        ) {
            queue.put_back(self.id);
        }
        let _ = self.reply.send(answer);
    }
}
