//! What the engine keeps in memory, in step with the file: it changes only after a commit.

mod clients;
mod outgoing;
mod timer;

pub(super) use clients::Clients;
pub(super) use outgoing::Outgoing;

use crate::engine::DeliveryId;
use crate::engine::live::Live;
use crate::engine::queue::{Queue, Waiting};
use crate::job::JobId;
use std::time::Duration;

/// All of it.
pub(super) struct Memory {
    pub(super) queue: Queue<JobId>,
    pub(super) clients: Clients,
    pub(super) outgoing: Outgoing,
    pub(super) live: Live,
}

/// What the end of a job, or of several, changes here.
#[derive(Default)]
pub(super) struct Ended {
    /// Who sent each of them.
    pub(super) clients: Vec<String>,
    /// Those that were still waiting.
    pub(super) unqueued: Vec<Waiting<JobId>>,
    /// Those that may be running here.
    pub(super) stopped: Vec<JobId>,
    /// What is to be told of them.
    pub(super) deliveries: Vec<Waiting<DeliveryId>>,
    /// The batches that they are part of, or are.
    pub(super) batches: Vec<JobId>,
}

impl Memory {
    pub(super) fn ended(&self, ended: Ended) {
        for client in &ended.clients {
            self.clients.remove(client);
        }
        for job in &ended.unqueued {
            self.queue.remove(&job.id, &job.server);
            self.live.changed(&job.id);
        }
        for id in &ended.stopped {
            self.live.stop(id);
        }
        for delivery in ended.deliveries {
            self.outgoing.push(delivery, Duration::ZERO);
        }
        for id in &ended.batches {
            self.live.changed(id);
        }
    }
}
