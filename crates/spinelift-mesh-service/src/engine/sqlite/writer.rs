//! The one thread that writes: it commits together what arrived together.

use super::queue::Queue;
use crate::engine::EngineError;
use parking_lot::Mutex;
use rusqlite::{Connection, Transaction, TransactionBehavior};
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
pub(super) trait Command: Send {
    /// Writes, and keeps the answer for later.
    fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()>;

    /// Answers, once the group is safely on disk or has failed as a whole.
    fn settle(self: Box<Self>, result: Result<(), EngineError>, queue: &Queue);
}

/// Where a command's answer goes.
pub(super) type Reply<T> = oneshot::Sender<Result<T, EngineError>>;

/// The transaction that a command takes part in.
pub(super) struct Group<'a> {
    pub(super) transaction: Transaction<'a>,
    /// How many more jobs may be queued, the ones of this group counted.
    pub(super) room: usize,
    pub(super) queue_limit: usize,
}

/// The way to the writing thread.
pub(super) struct Writer {
    /// `None` once closed: the thread ends when it has done what was sent before.
    commands: Mutex<Option<Sender<Box<dyn Command>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    /// Starts the thread, which keeps the file's lock as long as it writes.
    pub(super) fn spawn(connection: Connection, lock: File, queue: Arc<Queue>) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new()
            .name("jobs-writer".into())
            .spawn(move || {
                write_all(connection, &receiver, &queue);
                drop(lock);
            })?;
        Ok(Self {
            commands: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Sends a command and waits until it is safe on disk.
    pub(super) async fn submit<T, C: Command + 'static>(
        &self,
        command: impl FnOnce(Reply<T>) -> C,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let command = Box::new(command(reply));
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

fn write_all(mut connection: Connection, commands: &Receiver<Box<dyn Command>>, queue: &Queue) {
    while let Ok(first) = commands.recv() {
        let mut group = vec![first];
        group.extend(commands.try_iter().take(GROUP - 1));
        let result = commit(&mut connection, &mut group, queue).map_err(|error| {
            tracing::error!(%error, commands = group.len(), "jobs cannot be written");
            EngineError::Unavailable {
                reason: error.to_string(),
            }
        });
        for command in group {
            command.settle(result.clone(), queue);
        }
    }
    if let Err((_, error)) = connection.close() {
        tracing::warn!(%error, "the job database was not closed cleanly");
    }
}

/// All or nothing. Dropping the transaction rolls it back, and leaves the connection usable for
/// the next group: a full disk today is no reason to refuse tomorrow.
fn commit(
    connection: &mut Connection,
    commands: &mut [Box<dyn Command>],
    queue: &Queue,
) -> rusqlite::Result<()> {
    let mut group = Group {
        transaction: connection.transaction_with_behavior(TransactionBehavior::Immediate)?,
        room: queue.room(),
        queue_limit: queue.limit(),
    };
    for command in commands {
        command.apply(&mut group)?;
    }
    group.transaction.commit()
}

#[cfg(test)]
mod tests {
    use super::super::commands::Accept;
    use super::super::schema;
    use super::*;
    use crate::engine::{Accepted, NewJob};
    use crate::job::{JobId, JobRequest};
    use crate::redacted::RedactedUrl;

    /// Sets how many pages the file may have: to SQLite the disk is full beyond.
    struct DiskSize(u32, Option<Reply<()>>);

    impl Command for DiskSize {
        fn apply(&mut self, group: &mut Group<'_>) -> rusqlite::Result<()> {
            group
                .transaction
                .query_row(&format!("PRAGMA max_page_count = {}", self.0), [], |_| {
                    Ok(())
                })
        }

        fn settle(mut self: Box<Self>, result: Result<(), EngineError>, _: &Queue) {
            if let Some(reply) = self.1.take() {
                let _ = reply.send(result);
            }
        }
    }

    fn job(id: &str) -> NewJob {
        let url = format!("http://example.com/{}", "x".repeat(2000));
        NewJob {
            id: JobId::parse(id).expect("valid"),
            request: JobRequest {
                image_url: RedactedUrl::new(url.parse().expect("valid")),
                parameters: spinelift_mesh::MeshParameters::default(),
                callback_url: None,
            },
            base_url: "http://h".into(),
        }
    }

    #[tokio::test]
    async fn a_full_disk_refuses_for_now_and_recovers() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("jobs.db");
        let connection = schema::open(&path).expect("opens");
        let lock = File::create(directory.path().join("lock")).expect("created");
        let queue = Arc::new(Queue::new(1000, Default::default()));
        let writer = Writer::spawn(connection, lock, Arc::clone(&queue)).expect("starts");
        let accept = async |id: &str| {
            let job = job(id);
            writer.submit(|reply| Accept::new(job, reply)).await
        };

        let size = writer.submit(|reply| DiskSize(20, Some(reply))).await;
        assert_eq!(size, Ok(()));
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
        assert_eq!(queue.len(), stored, "what was refused is not queued");

        let size = writer.submit(|reply| DiskSize(10_000, Some(reply))).await;
        assert_eq!(size, Ok(()));
        assert_eq!(accept(&format!("j{stored}")).await, Ok(Accepted::Created));
        writer.close().await;
        let connection = schema::open(&path).expect("opens again");
        let count: u32 = connection
            .query_row("SELECT count(*) FROM jobs", [], |row| row.get(0))
            .expect("counts");
        assert_eq!(count as usize, stored + 1);
    }
}
