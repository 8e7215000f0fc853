//! How many unfinished jobs each client has.

use parking_lot::Mutex;
use std::collections::HashMap;

/// Counts by client; who has none is not in it.
pub(in super::super) struct Clients {
    counts: Mutex<HashMap<String, usize>>,
    limit: usize,
}

impl Clients {
    pub(in super::super) fn new(counts: HashMap<String, usize>, limit: usize) -> Self {
        Self {
            counts: Mutex::new(counts),
            limit,
        }
    }

    pub(in super::super) fn limit(&self) -> usize {
        self.limit
    }

    pub(in super::super) fn count(&self, client: &str) -> usize {
        self.counts.lock().get(client).copied().unwrap_or(0)
    }

    pub(in super::super) fn add(&self, client: &str, jobs: usize) {
        *self.counts.lock().entry(client.to_owned()).or_default() += jobs;
    }

    pub(in super::super) fn remove(&self, client: &str) {
        let mut counts = self.counts.lock();
        match counts.get_mut(client) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                counts.remove(client);
            }
        }
    }
}
