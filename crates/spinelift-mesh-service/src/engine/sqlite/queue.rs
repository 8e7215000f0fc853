//! The jobs that wait, first come first served.

use crate::job::JobId;
use parking_lot::Mutex;
use std::collections::VecDeque;
use tokio::sync::Semaphore;

/// A bounded queue in memory. The bound is kept by whoever pushes: see [`Queue::room`].
pub(super) struct Queue {
    waiting: Mutex<VecDeque<JobId>>,
    /// One permit for each waiting job: no wake-up is lost, and none is for nothing.
    available: Semaphore,
    limit: usize,
}

impl Queue {
    pub(super) fn new(limit: usize, waiting: VecDeque<JobId>) -> Self {
        Self {
            available: Semaphore::new(waiting.len()),
            waiting: Mutex::new(waiting),
            limit,
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    /// How many more may be pushed.
    pub(super) fn room(&self) -> usize {
        self.limit.saturating_sub(self.len())
    }

    pub(super) fn push(&self, id: JobId) {
        self.waiting.lock().push_back(id);
        self.available.add_permits(1);
    }

    /// Puts back what could not be started, where it was.
    pub(super) fn put_back(&self, id: JobId) {
        self.waiting.lock().push_front(id);
        self.available.add_permits(1);
    }

    /// Waits for a job; `None` once the queue is closed.
    pub(super) async fn pop(&self) -> Option<JobId> {
        self.available.acquire().await.ok()?.forget();
        self.waiting.lock().pop_front()
    }

    pub(super) fn close(&self) {
        self.available.close();
    }
}
