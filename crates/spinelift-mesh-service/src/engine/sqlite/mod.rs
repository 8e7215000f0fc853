//! The embedded engine: one SQLite file, owned by one process, no server.
//!
//! * All writing happens on one thread, which commits what has gathered in one transaction and
//!   one fsync (`writer`). Reading has its own connection and thread (`reader`).
//! * The queue of waiting jobs is in memory and fed after each commit (`queue`), so nothing
//!   polls; it is rebuilt from the file at start ([`open`](SqliteEngine::open)).
//! * Progress is kept in memory only.

mod commands;
mod lock;
mod queue;
mod reader;
mod rows;
mod running;
mod schema;
mod writer;

pub use schema::OpenError;

use super::{Accepted, Claim, EngineError, Fenced, JobEngine, NewJob, Outcome};
use crate::job::{Job, JobId, JobState, Progress};
use async_trait::async_trait;
use commands::{Accept, Ending, Finish, Start};
use queue::Queue;
use reader::Reader;
use running::Running;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use writer::Writer;

/// The bounds of an engine.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most jobs that may wait.
    pub queue_length: usize,
    /// Most attempts at one job.
    pub attempts: u32,
}

/// [`JobEngine`] in one SQLite file.
pub struct SqliteEngine {
    // Dropped in this order: the writer closes the file last.
    reader: Reader,
    writer: Writer,
    queue: Arc<Queue>,
    running: Arc<Running>,
}

/// An engine that was opened, and what it found.
pub struct Opened {
    /// The engine.
    pub engine: SqliteEngine,
    /// Jobs that wait again because the last process ended before they did.
    pub resumed: usize,
    /// Jobs that failed now because that has happened too often.
    pub exhausted: Vec<Job>,
}

impl SqliteEngine {
    /// Opens or creates the file, and puts the jobs of a process that died back into the queue.
    /// Blocks; the file stays locked until the engine is closed or dropped.
    ///
    /// # Errors
    /// See [`OpenError`]. A file that is refused is left as it is.
    pub fn open(path: &Path, bounds: Bounds) -> Result<Opened, OpenError> {
        let path = &own_name(path);
        let lock = lock::acquire(path)?;
        let mut connection = schema::open(path)?;
        let recovered = schema::recover(&mut connection, bounds.attempts)
            .map_err(|source| OpenError::of(path, source))?;
        let reading = schema::open_for_reading(path)?;

        let queue = Arc::new(Queue::new(bounds.queue_length, recovered.waiting));
        let thread = |source| OpenError::Thread { source };
        let engine = SqliteEngine {
            writer: Writer::spawn(connection, lock, Arc::clone(&queue)).map_err(thread)?,
            reader: Reader::spawn(reading).map_err(thread)?,
            queue,
            running: Arc::new(Running::default()),
        };
        Ok(Opened {
            engine,
            resumed: recovered.resumed,
            exhausted: recovered.exhausted,
        })
    }

    async fn end(&self, claim: &Claim, ending: Ending) -> Result<Fenced, EngineError> {
        let id = claim.job.id.clone();
        let attempt = claim.job.attempts;
        let fenced = self
            .writer
            .submit(|reply| Finish::new(id, attempt, ending, reply))
            .await?;
        self.running.end(claim);
        Ok(fenced)
    }
}

/// The path by which a file is locked and opened. One file under two names would get two locks,
/// and each of its jobs two workers; and to SQLite `:memory:` and `file:…` are no files, but
/// absolute paths always are.
fn own_name(path: &Path) -> PathBuf {
    let target = std::fs::canonicalize(path)
        .ok()
        .filter(|_| path.is_symlink());
    target
        .or_else(|| std::path::absolute(path).ok())
        .unwrap_or_else(|| path.to_owned())
}

#[async_trait]
impl JobEngine for SqliteEngine {
    async fn accept(&self, job: NewJob) -> Result<Accepted, EngineError> {
        let accepted = self.writer.submit(|reply| Accept::new(job, reply)).await?;
        Ok(match accepted {
            Accepted::Existing(mut job) => {
                self.running.overlay(&mut job);
                Accepted::Existing(job)
            }
            other => other,
        })
    }

    async fn claim(&self) -> Result<Option<Claim>, EngineError> {
        loop {
            let Some(id) = self.queue.pop().await else {
                return Ok(None);
            };
            let started = self
                .writer
                .submit(|reply| Start::new(id.clone(), reply))
                .await;
            match started {
                Ok(Some(job)) => {
                    let claim = Claim { job: *job };
                    self.running.begin(&claim);
                    return Ok(Some(claim));
                }
                Ok(None) => {
                    tracing::warn!(job_id = %id, "a queued job was gone when its turn came")
                }
                Err(error) => {
                    self.queue.put_back(id);
                    return Err(error);
                }
            }
        }
    }

    fn report(&self, claim: &Claim, progress: Progress) {
        self.running.report(claim, progress);
    }

    async fn finish(&self, claim: &Claim, outcome: Outcome) -> Result<Fenced, EngineError> {
        self.end(claim, Ending::Outcome(outcome)).await
    }

    async fn release(&self, claim: &Claim) -> Result<Fenced, EngineError> {
        self.end(claim, Ending::Released).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, EngineError> {
        // The progress is looked up before the row: the other way round, a job that ends in
        // between would be seen running without progress, after it had been seen with some.
        let progress = self.running.progress(id);
        let mut job = self.reader.get(id.clone()).await?;
        if let (Some(job), Some(progress)) = (&mut job, progress)
            && job.state == JobState::Running
        {
            job.progress = progress;
        }
        Ok(job)
    }

    fn waiting(&self) -> usize {
        self.queue.len()
    }

    fn stop_claiming(&self) {
        self.queue.close();
    }

    async fn close(&self) {
        self.queue.close();
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_names_a_file() {
        for name in [":memory:", "file:x?mode=memory", "jobs.db"] {
            let path = own_name(Path::new(name));
            assert!(path.is_absolute() && path.ends_with(name), "{path:?}");
        }
    }
}
