//! The thread that reads: a status is never kept waiting by a commit.

use super::rows;
use crate::engine::EngineError;
use crate::job::{Job, JobId};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

struct Lookup {
    id: JobId,
    reply: oneshot::Sender<Result<Option<Job>, EngineError>>,
}

/// The way to the reading thread, which ends when the sender is gone.
pub(super) struct Reader {
    lookups: Mutex<Option<Sender<Lookup>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reader {
    pub(super) fn spawn(connection: Connection) -> io::Result<Self> {
        let (sender, receiver) = channel();
        let thread = thread::Builder::new()
            .name("jobs-reader".into())
            .spawn(move || read_all(&connection, &receiver))?;
        Ok(Self {
            lookups: Mutex::new(Some(sender)),
            thread: Mutex::new(Some(thread)),
        })
    }

    pub(super) async fn get(&self, id: JobId) -> Result<Option<Job>, EngineError> {
        let (reply, answer) = oneshot::channel();
        match &*self.lookups.lock() {
            Some(sender) if sender.send(Lookup { id, reply }).is_ok() => {}
            _ => return Err(EngineError::Closed),
        }
        answer.await.unwrap_or(Err(EngineError::Closed))
    }

    /// Lets the thread finish what it has, and waits for it: the connection that is closed last
    /// tidies SQLite's files up, and one that only reads cannot.
    pub(super) async fn close(&self) {
        self.lookups.lock().take();
        let thread = self.thread.lock().take();
        if let Some(thread) = thread {
            // The thread does not panic; if it did, there is nothing left to do here.
            let _ = tokio::task::spawn_blocking(|| thread.join()).await;
        }
    }
}

impl Drop for Reader {
    /// Takes no longer than one lookup.
    fn drop(&mut self) {
        self.lookups.get_mut().take();
        if let Some(thread) = self.thread.get_mut().take() {
            let _ = thread.join();
        }
    }
}

fn read_all(connection: &Connection, lookups: &Receiver<Lookup>) {
    while let Ok(Lookup { id, reply }) = lookups.recv() {
        let found = rows::find(connection, id.as_str()).map_err(|error| {
            let reason = error.to_string();
            if rows::is_damage(&error) {
                EngineError::Damaged { reason }
            } else {
                EngineError::Unavailable { reason }
            }
        });
        // Nobody may be waiting any more.
        let _ = reply.send(found);
    }
}
