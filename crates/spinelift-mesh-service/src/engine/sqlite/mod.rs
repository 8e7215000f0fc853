//! The embedded engine: one SQLite file, owned by one process, no server.
//!
//! * All writing happens on one thread, which commits what has gathered in one transaction and
//!   one fsync (`writer`). Reading has its own connection and thread (`reader`).
//! * The queue of waiting jobs, the deliveries that are due and the counts of each client are in
//!   memory and follow each commit (`memory`), so nothing polls; they are rebuilt from the file
//!   at start ([`open`](SqliteEngine::open)).
//! * Progress is kept in memory only.

mod accept;
mod attempt;
mod deliveries;
mod ending;
mod listing;
mod lock;
mod memory;
mod open_error;
mod opening;
mod place;
mod reader;
mod recovery;
mod removal;
mod results;
mod rows;
mod schema;
mod writer;

pub use open_error::OpenError;

use super::live::{self, Live, Watch};
use super::{
    Accepted, AcceptedBatch, Attempt, Backlog, Cancelled, Claim, Deleted, Delivery, DeliveryId,
    DeliveryRecord, EngineError, Expired, Fenced, Filter, JobEngine, Lane, NewBatch, NewJob, Next,
    Outbox, Outcome, Page, Replayed, ResultIndex, ResultKey, ResultObject,
};
use crate::job::{Batch, Job, JobId, Progress};
use crate::private;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use memory::{Clients, Lanes, Memory, Outgoing, Queue};
use place::Place;
use reader::Reader;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use writer::{Room, Writer};

/// The bounds of an engine.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Most jobs that may wait.
    pub queue_length: usize,
    /// Most unfinished jobs of one client.
    pub jobs_per_client: usize,
    /// Most jobs that load from one server at a time.
    pub lanes: usize,
    /// Most jobs of one client that load from servers at a time.
    pub client_lanes: usize,
    /// Most deliveries that are made to one receiver at a time.
    pub delivery_lanes: usize,
    /// Most attempts at one job.
    pub attempts: u32,
}

/// [`JobEngine`] in one SQLite file.
pub struct SqliteEngine {
    // Dropped in this order: the writer closes the file last.
    reader: Reader,
    writer: Writer,
    memory: Arc<Memory>,
}

/// An engine that was opened, and what it found.
pub struct Opened {
    /// The engine.
    pub engine: SqliteEngine,
    /// Jobs that wait again because the last process ended before they did.
    pub resumed: usize,
    /// Jobs that failed now because that has happened too often.
    pub exhausted: usize,
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
        let mut connection = opening::open(path)?;
        let place = Place::of(path);
        if private::is_open_to_others(path) {
            tracing::warn!(
                path = %path.display(),
                "other users of this machine can read the job database, which holds keys and URLs \
                 with credentials: chmod 600"
            );
        }
        let recovered = recovery::recover(&mut connection, bounds.attempts)
            .map_err(|source| OpenError::of(path, source))?;
        let reading = opening::open_for_reading(path)?;

        let lanes = Lanes {
            server: bounds.lanes,
            client: bounds.client_lanes,
        };
        let memory = Arc::new(Memory {
            queue: Queue::new(bounds.queue_length, lanes, recovered.waiting),
            clients: Clients::new(recovered.clients, bounds.jobs_per_client),
            outgoing: Outgoing::new(bounds.delivery_lanes),
            live: Live::default(),
        });
        for (delivery, wait) in recovered.deliveries {
            // The clock may have been set back since the time was noted.
            memory.outgoing.push(delivery, wait.min(LONGEST_WAIT));
        }
        let thread = |source| OpenError::Thread { source };
        let engine = SqliteEngine {
            writer: Writer::spawn(connection, place, lock, Arc::clone(&memory)).map_err(thread)?,
            reader: Reader::spawn(reading).map_err(thread)?,
            memory,
        };
        Ok(Opened {
            engine,
            resumed: recovered.resumed,
            exhausted: recovered.exhausted,
        })
    }
}

/// No delivery waits longer for its next attempt.
const LONGEST_WAIT: Duration = Duration::from_secs(24 * 60 * 60);

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
        Ok(match accept::job(&self.writer, job).await? {
            Accepted::Existing(mut job) => {
                self.memory.live.overlay(&mut job);
                Accepted::Existing(job)
            }
            other => other,
        })
    }

    async fn accept_batch(&self, batch: NewBatch) -> Result<AcceptedBatch, EngineError> {
        accept::batch(&self.writer, batch).await
    }

    async fn claim(&self) -> Result<Option<(Claim, Lane)>, EngineError> {
        loop {
            let Some((waiting, lane)) = self.memory.queue.pop().await else {
                return Ok(None);
            };
            match attempt::start(&self.writer, waiting.id.clone()).await {
                Ok(Some(claim)) => return Ok(Some((claim, lane))),
                // It was cancelled between the queue and here.
                Ok(None) => {}
                Err(error) => {
                    self.memory.queue.put_back(waiting);
                    return Err(error);
                }
            }
        }
    }

    fn report(&self, claim: &Claim, progress: Progress) {
        self.memory.live.report(claim, progress);
    }

    async fn finish(&self, claim: &Claim, outcome: Outcome) -> Result<Fenced, EngineError> {
        attempt::finish(&self.writer, claim, outcome).await
    }

    async fn release(&self, claim: &Claim) -> Result<Fenced, EngineError> {
        attempt::release(&self.writer, claim).await
    }

    async fn cancel(&self, id: &JobId) -> Result<Option<Cancelled>, EngineError> {
        removal::cancel(&self.writer, Arc::clone(&self.memory), id.clone()).await
    }

    async fn delete(&self, id: &JobId) -> Result<Option<Deleted>, EngineError> {
        removal::delete(&self.writer, id.clone()).await
    }

    async fn expire(&self, before: DateTime<Utc>) -> Result<Expired, EngineError> {
        removal::expire(&self.writer, before).await
    }

    async fn get(&self, id: &JobId) -> Result<Option<Job>, EngineError> {
        // The progress is looked up before the row: the other way round, a job that ends in
        // between would be seen running without progress, after it had been seen with some.
        let progress = self.memory.live.latest(id);
        let wanted = id.clone();
        let read = self
            .reader
            .read(move |rows| rows::find(rows, wanted.as_str()));
        let mut job = read.await?;
        if let Some(job) = &mut job {
            live::overlay(job, progress);
        }
        Ok(job)
    }

    async fn batch(&self, id: &JobId) -> Result<Option<Batch>, EngineError> {
        let id = id.clone();
        let read = self
            .reader
            .read(move |rows| rows::find_batch(rows, id.as_str()));
        read.await
    }

    async fn list(&self, filter: Filter) -> Result<Page, EngineError> {
        let read = self.reader.read(move |rows| listing::page(rows, &filter));
        let mut page = read.await?;
        for job in &mut page.jobs {
            self.memory.live.overlay(job);
        }
        Ok(page)
    }

    async fn progress(&self, id: &JobId) -> Result<Option<(u32, Vec<Progress>)>, EngineError> {
        Ok(self.memory.live.progress(id))
    }

    fn watch(&self, id: &JobId) -> Watch {
        self.memory.live.watch(id)
    }

    async fn secret(&self, name: &'static str) -> Result<[u8; 32], EngineError> {
        let fresh = schema::random().map_err(|reason| EngineError::Unavailable { reason })?;
        let write = self
            .writer
            .write(move |rows, _| schema::secret(rows, name, fresh), |_, _| {});
        write.await
    }

    async fn check(&self) -> Result<(), EngineError> {
        let write = self.writer.write(|rows, _| schema::touch(rows), |(), _| {});
        write.await?;
        self.reader.read(schema::touched).await
    }

    async fn backlog(&self) -> Result<Backlog, EngineError> {
        Ok(self.memory.queue.backlog())
    }

    async fn check_room(&self, client: &str) -> Result<(), EngineError> {
        Room::new(&self.memory).check(client, 1)
    }

    fn stop_claiming(&self) {
        self.memory.queue.close();
    }

    async fn close(&self) {
        self.stop_claiming();
        self.memory.outgoing.close();
        self.reader.close().await;
        self.writer.close().await;
    }
}

#[async_trait]
impl Outbox for SqliteEngine {
    async fn due(&self) -> Result<Option<(Delivery, Lane)>, EngineError> {
        loop {
            let Some((due, lane)) = self.memory.outgoing.pop().await else {
                return Ok(None);
            };
            let wanted = due.id.clone();
            let read = self
                .reader
                .read(move |rows| deliveries::find(rows, wanted.as_str()));
            match read.await {
                Ok(Some(delivery)) => return Ok(Some((delivery, lane))),
                // It was made or deleted meanwhile.
                Ok(None) => {}
                Err(EngineError::Damaged { reason }) => {
                    tracing::error!(
                        delivery = %due.id, reason,
                        "a delivery cannot be read; it is given up"
                    );
                    if let Err(error) = deliveries::give_up(&self.writer, due.id.clone()).await {
                        self.memory.outgoing.push(due, Duration::from_secs(1));
                        return Err(error);
                    }
                }
                Err(error) => {
                    self.memory.outgoing.push(due, Duration::from_secs(1));
                    return Err(error);
                }
            }
        }
    }

    async fn attempted(
        &self,
        delivery: &Delivery,
        attempt: Attempt,
        next: Next,
    ) -> Result<(), EngineError> {
        deliveries::attempted(&self.writer, delivery, attempt, next).await
    }

    async fn deliveries(&self, of: &JobId) -> Result<Vec<DeliveryRecord>, EngineError> {
        let of = of.clone();
        let read = self
            .reader
            .read(move |rows| deliveries::list(rows, of.as_str()));
        read.await
    }

    async fn replay(&self, of: &JobId, id: &DeliveryId) -> Result<Replayed, EngineError> {
        deliveries::replay(&self.writer, of.clone(), id.clone()).await
    }

    fn finish_due(&self) {
        self.memory.outgoing.finish();
    }

    async fn undelivered(&self) -> Result<usize, EngineError> {
        Ok(self.memory.outgoing.len())
    }
}

#[async_trait]
impl ResultIndex for SqliteEngine {
    async fn cached(&self, key: &ResultKey) -> Result<Option<ResultObject>, EngineError> {
        let key = key.clone();
        let read = self
            .reader
            .read(move |rows| results::find(rows, key.as_str()));
        read.await
    }

    async fn shrink_cache(&self, bytes: u64) -> Result<Vec<ResultObject>, EngineError> {
        results::shrink(&self.writer, bytes).await
    }

    async fn forget(&self, object: &ResultObject) -> Result<(), EngineError> {
        results::forget(&self.writer, object.clone()).await
    }

    async fn unused(&self, objects: Vec<ResultObject>) -> Result<Vec<ResultObject>, EngineError> {
        let read = self
            .reader
            .read(move |rows| results::unknown(rows, objects));
        read.await
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
