//! What the engine keeps in memory, in step with the file: it changes only after a commit.

mod clients;
mod outgoing;
mod timer;

pub(super) use crate::engine::queue::{Lanes, Queue, Waiting};
pub(super) use clients::Clients;
pub(super) use outgoing::Outgoing;

use crate::engine::live::Live;
use crate::engine::{DeliveryId, Reason};
use crate::job::{Job, JobId};
use std::time::Duration;

/// All of it.
pub(super) struct Memory {
    pub(super) queue: Queue<Queued>,
    pub(super) clients: Clients,
    pub(super) outgoing: Outgoing,
    pub(super) live: Live,
}

/// A job in the queue. Its name alone may be another job's by the time its turn comes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Queued {
    pub(super) id: JobId,
    pub(super) generation: u64,
}

impl Waiting<Queued> {
    /// The place of a job in the queue.
    pub(super) fn of(job: &Job) -> Self {
        Self {
            id: Queued {
                id: job.id.clone(),
                generation: job.generation,
            },
            client: job.client.clone(),
            server: job.request.source.server(),
        }
    }
}

/// What the end of a job, or of several, changes here.
#[derive(Default)]
pub(super) struct Ended {
    /// Who sent each of them.
    pub(super) clients: Vec<String>,
    /// Those that were still waiting.
    pub(super) unqueued: Vec<Waiting<Queued>>,
    /// Those that may be running here.
    pub(super) stopped: Vec<Queued>,
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
        self.queue.remove(&ended.unqueued);
        for job in &ended.unqueued {
            self.live.changed(&job.id.id);
        }
        for job in &ended.stopped {
            self.live.stop(&job.id, job.generation, Reason::Cancelled);
        }
        for delivery in ended.deliveries {
            self.outgoing.push(delivery, Duration::ZERO);
        }
        for id in &ended.batches {
            self.live.changed(id);
        }
    }
}
