//! The deliveries that this node has.

use super::token;
use crate::engine::DeliveryId;
use crate::engine::queue::{Lanes, Queue, Waiting};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::Notify;

/// A node that has so many waiting takes no more, not even those of the jobs that it ends.
pub(super) const MANY: usize = 1000;

/// The deliveries that wait here or are being made here, and the tokens by which they are held.
pub(super) struct Deliveries {
    pub(super) queue: Queue<DeliveryId>,
    held: Mutex<HashMap<DeliveryId, Hold>>,
    /// How many wait for one.
    pub(super) callers: AtomicUsize,
    pub(super) called: Notify,
    /// There may be something to be had.
    pub(super) stirred: Notify,
    pub(super) finishing: AtomicBool,
    /// Whether this node makes deliveries at all.
    makes: bool,
}

/// That this node holds a delivery.
struct Hold {
    token: String,
    receiver: String,
}

impl Deliveries {
    pub(super) fn new(lanes: usize, makes: bool) -> Self {
        let lanes = Lanes {
            server: lanes,
            client: usize::MAX,
        };
        Self {
            queue: Queue::new(usize::MAX, lanes, []),
            held: Mutex::default(),
            callers: AtomicUsize::new(0),
            called: Notify::new(),
            stirred: Notify::new(),
            finishing: AtomicBool::new(false),
            makes,
        }
    }

    /// A token to hold the delivery of a job that ends here; empty if another node is to make it.
    pub(super) fn hold(&self) -> String {
        match self.makes && self.waiting() < MANY {
            true => token(),
            false => String::new(),
        }
    }

    /// Puts a delivery that this node holds into its queue.
    pub(super) fn add(&self, id: &str, receiver: &str, token: String) {
        let id = DeliveryId::new(id);
        let receiver = receiver.to_owned();
        let hold = Hold {
            token,
            receiver: receiver.clone(),
        };
        if self.held.lock().insert(id.clone(), hold).is_none() {
            self.queue.push(Waiting::at(receiver, id));
        }
    }

    /// All that are held, with their tokens.
    pub(super) fn all(&self) -> Vec<(DeliveryId, String)> {
        let held = self.held.lock();
        held.iter()
            .map(|(id, hold)| (id.clone(), hold.token.clone()))
            .collect()
    }

    pub(super) fn token(&self, id: &DeliveryId) -> Option<String> {
        Some(self.held.lock().get(id)?.token.clone())
    }

    /// One is held no longer: its lease ended, say. If it waits it is not handed out; if it is
    /// being made, that counts for little.
    pub(super) fn lose(&self, id: &str, token: &str) {
        let id = DeliveryId::new(id);
        if self.token(&id).as_deref() == Some(token) {
            self.drop(id);
        }
    }

    /// One is not to be made as it was: it was deleted, or is made anew.
    pub(super) fn drop(&self, id: DeliveryId) {
        if let Some(hold) = self.held.lock().remove(&id) {
            self.queue.remove(&[Waiting::at(hold.receiver, id)]);
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn finish(&self) {
        self.finishing.store(true, Ordering::Relaxed);
        self.queue.finish();
    }

    pub(super) fn close(&self) {
        self.finishing.store(true, Ordering::Relaxed);
        self.queue.close();
    }
}
