//! The thread that reads: a status is never kept waiting by a commit.

use super::rows;
use crate::engine::EngineError;
use parking_lot::Mutex;
use rusqlite::Connection;
use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use tokio::sync::oneshot;

/// Something to be read, which sends its answer itself.
type Lookup = Box<dyn FnOnce(&Connection) + Send>;

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

    /// Has something read.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (reply, answer) = oneshot::channel();
        let lookup: Lookup = Box::new(move |connection| {
            let found = read(connection).map_err(|error| rows::engine_error(&error));
            // Nobody may be waiting any more.
            let _ = reply.send(found);
        });
        match &*self.lookups.lock() {
            Some(sender) if sender.send(lookup).is_ok() => {}
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
    while let Ok(lookup) = lookups.recv() {
        lookup(connection);
    }
}
