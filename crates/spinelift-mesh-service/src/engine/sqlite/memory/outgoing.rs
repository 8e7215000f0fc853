//! The deliveries to be made: they wait for their time, and then for their turn.

use super::queue::{Lanes, Queue, Waiting};
use super::timer::Timer;
use crate::engine::{DeliveryId, Lane};
use std::time::Duration;

/// No bound is kept on deliveries: there is at most one for each job.
const UNBOUNDED: usize = usize::MAX;

pub(in super::super) struct Outgoing {
    timer: Timer<Waiting<DeliveryId>>,
    queue: Queue<DeliveryId>,
}

impl Outgoing {
    pub(in super::super) fn new(lanes: usize) -> Self {
        let lanes = Lanes {
            server: lanes,
            client: usize::MAX,
        };
        Self {
            timer: Timer::default(),
            queue: Queue::new(UNBOUNDED, lanes, []),
        }
    }

    pub(in super::super) fn push(&self, delivery: Waiting<DeliveryId>, delay: Duration) {
        if delay.is_zero() {
            self.queue.push(delivery);
        } else {
            self.timer.push(delivery, delay);
        }
    }

    pub(in super::super) fn remove(&self, delivery: &Waiting<DeliveryId>) {
        self.timer.remove(delivery);
        self.queue.remove(std::slice::from_ref(delivery));
    }

    /// How many wait, for their time or their turn.
    pub(in super::super) fn len(&self) -> usize {
        self.timer.len() + self.queue.len()
    }

    /// Waits for one that is due and whose receiver has a lane free; `None` once closed.
    pub(in super::super) async fn pop(&self) -> Option<(Waiting<DeliveryId>, Lane)> {
        loop {
            tokio::select! {
                Some(due) = self.timer.pop() => self.queue.push(due),
                next = self.queue.pop() => return next,
            }
        }
    }

    /// Hands out no more but what is due.
    pub(in super::super) fn finish(&self) {
        self.timer.close();
        self.queue.finish();
    }

    pub(in super::super) fn close(&self) {
        self.timer.close();
        self.queue.close();
    }
}
