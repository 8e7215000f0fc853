//! The thread that reads: a status is never kept waiting by a commit.

use super::rows;
use crate::engine::EngineError;
use crate::job::{Job, JobId};
use parking_lot::Mutex;
use rusqlite::Connection;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use tokio::sync::oneshot;

struct Lookup {
    id: JobId,
    reply: oneshot::Sender<Result<Option<Job>, EngineError>>,
}

/// The way to the reading thread, which ends when the sender is gone.
pub(super) struct Reader(Mutex<Option<Sender<Lookup>>>);

impl Reader {
    pub(super) fn spawn(connection: Connection) -> io::Result<Self> {
        let (sender, receiver) = channel();
        thread::Builder::new()
            .name("jobs-reader".into())
            .spawn(move || read_all(&connection, &receiver))?;
        Ok(Self(Mutex::new(Some(sender))))
    }

    pub(super) async fn get(&self, id: JobId) -> Result<Option<Job>, EngineError> {
        let (reply, answer) = oneshot::channel();
        match &*self.0.lock() {
            Some(sender) if sender.send(Lookup { id, reply }).is_ok() => {}
            _ => return Err(EngineError::Closed),
        }
        answer.await.unwrap_or(Err(EngineError::Closed))
    }

    pub(super) fn close(&self) {
        self.0.lock().take();
    }
}

fn read_all(connection: &Connection, lookups: &Receiver<Lookup>) {
    while let Ok(Lookup { id, reply }) = lookups.recv() {
        let found = rows::find(connection, id.as_str()).map_err(|error| EngineError::Unavailable {
            reason: error.to_string(),
        });
        // Nobody may be waiting any more.
        let _ = reply.send(found);
    }
}
