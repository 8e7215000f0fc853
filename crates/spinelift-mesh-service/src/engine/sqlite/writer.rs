//! The one thread that writes: it commits together what arrived together.

use super::memory::Memory;
use super::place::Place;
use super::rows;
use crate::engine::EngineError;
use parking_lot::Mutex;
use rusqlite::{Connection, TransactionBehavior};
use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Most commands in one transaction. A larger group gains nothing measurable and makes the first
/// of them wait longer.
const GROUP: usize = 512;

/// Something to be written.
trait Command: Send {
    /// Writes, and keeps the answer for later.
    fn apply(&mut self, connection: &Connection, room: &mut Room<'_>) -> rusqlite::Result<()>;

    /// Answers, once the group is safely on disk or has failed as a whole.
    fn settle(self: Box<Self>, result: Result<(), EngineError>, memory: &Memory);
}

/// A write as two functions: what to do in the file, and what follows in memory.
struct Write<T, W, F> {
    write: Option<W>,
    follow: F,
    answer: Option<T>,
    reply: oneshot::Sender<Result<T, EngineError>>,
}

impl<T, W, F> Command for Write<T, W, F>
where
    T: Send,
    W: FnOnce(&Connection, &mut Room<'_>) -> rusqlite::Result<T> + Send,
    F: FnOnce(&mut T, &Memory) + Send,
{
    fn apply(&mut self, connection: &Connection, room: &mut Room<'_>) -> rusqlite::Result<()> {
        if let Some(write) = self.write.take() {
            self.answer = Some(write(connection, room)?);
        }
        Ok(())
    }

    fn settle(self: Box<Self>, result: Result<(), EngineError>, memory: &Memory) {
        let Self {
            follow,
            answer,
            reply,
            ..
        } = *self;
        let mut result = result.and(answer.ok_or(EngineError::Closed));
        if let Ok(answer) = &mut result {
            follow(answer, memory);
        }
        // Who asked may have gone away; what was written stays.
        let _ = reply.send(result);
    }
}

/// How many more jobs may be accepted, those accepted earlier in the same group counted.
pub(super) struct Room<'a> {
    memory: &'a Memory,
    taken: usize,
    taken_by: HashMap<String, usize>,
}

impl<'a> Room<'a> {
    pub(super) fn new(memory: &'a Memory) -> Self {
        Self {
            memory,
            taken: 0,
            taken_by: HashMap::new(),
        }
    }

    /// Whether there is room for this many jobs of a client.
    pub(super) fn check(&self, client: &str, jobs: usize) -> Result<(), EngineError> {
        let queue = &self.memory.queue;
        if self.taken + jobs > queue.room() {
            return Err(EngineError::QueueFull {
                limit: queue.limit(),
            });
        }
        let clients = &self.memory.clients;
        let taken = self.taken_by.get(client).copied().unwrap_or(0);
        let unfinished = clients.count(client) + taken;
        if unfinished + jobs > clients.limit() {
            return Err(EngineError::ClientQuota {
                unfinished,
                limit: clients.limit(),
            });
        }
        Ok(())
    }

    /// Takes it.
    pub(super) fn take(&mut self, client: &str, jobs: usize) {
        self.taken += jobs;
        *self.taken_by.entry(client.to_owned()).or_default() += jobs;
    }
}

/// The way to the writing thread.
pub(super) struct Writer {
    /// `None` once closed: the thread ends when it has done what was sent before.
    commands: Mutex<Option<Sender<Box<dyn Command>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which keeps the file's lock as long as it writes.
    pub(super) fn spawn(
        connection: Connection,
        place: Place,
        lock: File,
        memory: Arc<Memory>,
    ) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new()
            .name("jobs-writer".into())
            .spawn(move || {
                write_all(connection, &place, &receiver, &memory);
                drop(lock);
            })?;
        Ok(Self {
            commands: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Has something written, and waits until it is safe on disk. `follow` then brings the memory
    /// in step, before anything else is written.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        write: impl FnOnce(&Connection, &mut Room<'_>) -> rusqlite::Result<T> + Send + 'static,
        follow: impl FnOnce(&mut T, &Memory) + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let command = Box::new(Write {
            write: Some(write),
            follow,
            answer: None,
            reply,
        });
        match &*self.commands.lock() {
            Some(sender) if sender.send(command).is_ok() => {}
            _ => return Err(EngineError::Closed),
        }
        answer.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Lets the thread finish what it has.
    pub(super) async fn close(&self) {
        self.commands.lock().take();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // The thread does not panic; if it did, there is nothing left to do here.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

impl Drop for Writer {
    /// The file is free again when the engine is gone. Takes no longer than one commit.
    fn drop(&mut self) {
        self.commands.get_mut().take();
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
    }
}

fn write_all(
    mut connection: Connection,
    place: &Place,
    commands: &Receiver<Box<dyn Command>>,
    memory: &Memory,
) {
    while let Ok(first) = commands.recv() {
        let mut group = vec![first];
        group.extend(commands.try_iter().take(GROUP - 1));
        let size = group.len();
        let committed = place.check().and_then(|()| {
            commit(&mut connection, &mut group, memory).map_err(|error| rows::engine_error(&error))
        });
        match committed {
            Ok(results) => {
                for (command, result) in group.into_iter().zip(results) {
                    command.settle(result, memory);
                }
            }
            Err(error) => {
                tracing::error!(%error, commands = size, "jobs cannot be written");
                for command in group {
                    command.settle(Err(error.clone()), memory);
                }
            }
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the job database was not closed cleanly");
    }
}

/// All or nothing, but for a command that finds a row that is no job of ours: that one fails
/// alone. Dropping the transaction rolls it back, and leaves the connection usable for the next
/// group: a full disk today is no reason to refuse tomorrow.
fn commit(
    connection: &mut Connection,
    commands: &mut [Box<dyn Command>],
    memory: &Memory,
) -> rusqlite::Result<Vec<Result<(), EngineError>>> {
    let mut room = Room::new(memory);
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut results = Vec::with_capacity(commands.len());
    for command in commands {
        let savepoint = transaction.savepoint()?;
        match command.apply(&savepoint, &mut room) {
            Ok(()) => {
                savepoint.commit()?;
                results.push(Ok(()));
            }
            Err(error) if rows::is_damage(&error) => {
                drop(savepoint);
                results.push(Err(rows::engine_error(&error)));
            }
            Err(error) => return Err(error),
        }
    }
    transaction.commit()?;
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::super::memory::{Clients, Lanes, Outgoing, Queue};
    use super::super::{accept, opening};
    use super::*;
    use crate::engine::live::Live;
    use crate::engine::{Accepted, NewJob};
    use crate::job::{JobId, JobRequest, Source};
    use crate::redacted::RedactedUrl;

    /// Sets how many pages the file may have: to SQLite the disk is full beyond.
    async fn disk_size(writer: &Writer, pages: u32) {
        let pragma = format!("PRAGMA max_page_count = {pages}");
        let set = writer.write(
            move |connection, _| connection.query_row(&pragma, [], |_| Ok(())),
            |(), _| {},
        );
        assert_eq!(set.await, Ok(()));
    }

    fn job(id: &str) -> NewJob {
        let url = format!("http://example.com/{}", "x".repeat(2000));
        NewJob {
            id: JobId::parse(id).expect("valid"),
            request: JobRequest {
                source: Source::Url(RedactedUrl::new(url.parse().expect("valid"))),
                parameters: spinelift_mesh::MeshParameters::default(),
                callback_url: None,
            },
            base_url: "http://h".into(),
            client: "c".into(),
            request_id: None,
        }
    }

    #[tokio::test]
    async fn a_full_disk_refuses_for_now_and_recovers() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("jobs.db");
        let connection = opening::open(&path).expect("opens");
        let lock = File::create(directory.path().join("lock")).expect("created");
        let lanes = Lanes {
            server: 8,
            client: 8,
        };
        let memory = Arc::new(Memory {
            queue: Queue::new(1000, lanes, []),
            clients: Clients::new(HashMap::new(), 1000),
            outgoing: Outgoing::new(8),
            live: Live::default(),
        });
        let writer =
            Writer::spawn(connection, Place::of(&path), lock, Arc::clone(&memory)).expect("starts");
        let accept = async |id: &str| accept::job(&writer, job(id)).await;

        disk_size(&writer, 40).await;
        let mut stored = 0;
        let refused = loop {
            match accept(&format!("j{stored}")).await {
                Ok(accepted) => assert_eq!(accepted, Accepted::Created),
                Err(error) => break error,
            }
            stored += 1;
        };
        assert!(matches!(&refused, EngineError::Unavailable { reason } if reason.contains("full")));
        assert!(stored > 0);
        let waiting = memory.queue.len();
        assert_eq!(waiting, stored, "what was refused is not queued");
        assert_eq!(memory.clients.count("c"), stored);

        disk_size(&writer, 10_000).await;
        assert_eq!(accept(&format!("j{stored}")).await, Ok(Accepted::Created));
        writer.close().await;
        let connection = opening::open(&path).expect("opens again");
        let count: u32 = connection
            .query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))
            .expect("counts");
        assert_eq!(count as usize, stored + 1);
    }
}
