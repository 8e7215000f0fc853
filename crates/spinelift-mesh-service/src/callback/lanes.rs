//! How many deliveries are made at a time: each holds a connection, and a receiver that hangs
//! holds it for seconds, while jobs take milliseconds. Without bounds one such receiver would
//! take every file descriptor of the process, and images and results would fail for want of one.

use crate::redacted::RedactedUrl;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::{Arc, Weak};
use tokio::sync::{Semaphore, SemaphorePermit};

/// Most deliveries at a time.
const ALL: usize = 128;

/// Most of them to one receiver, so that one that hangs does not hold up the others.
const EACH: usize = 16;

/// All lanes that are in use.
pub(super) struct Lanes {
    all: Arc<Semaphore>,
    receivers: Mutex<HashMap<String, Weak<Semaphore>>>,
}

/// The lane of one receiver.
pub(super) struct Lane {
    all: Arc<Semaphore>,
    own: Arc<Semaphore>,
}

/// Room for one delivery, until it is dropped.
pub(super) struct Room<'a> {
    _all: SemaphorePermit<'a>,
    _own: SemaphorePermit<'a>,
}

impl Lanes {
    pub(super) fn new() -> Self {
        Self {
            all: Arc::new(Semaphore::new(ALL)),
            receivers: Mutex::default(),
        }
    }

    /// The lane to the server of a URL.
    pub(super) fn to(&self, url: &RedactedUrl) -> Lane {
        let receiver = url.server();
        let mut receivers = self.receivers.lock();
        let known = receivers.get(&receiver).and_then(Weak::upgrade);
        let own = known.unwrap_or_else(|| {
            // Lanes that nobody uses any more go when a new one comes.
            receivers.retain(|_, lane| lane.strong_count() > 0);
            let own = Arc::new(Semaphore::new(EACH));
            receivers.insert(receiver, Arc::downgrade(&own));
            own
        });
        Lane {
            all: Arc::clone(&self.all),
            own,
        }
    }
}

impl Lane {
    /// Waits for room for one delivery.
    pub(super) async fn enter(&self) -> Room<'_> {
        // Neither semaphore is ever closed. The receiver's own comes first: who waits for it
        // must not take room from the others.
        let (Ok(own), Ok(all)) = (self.own.acquire().await, self.all.acquire().await) else {
            unreachable!("the lanes of callbacks are never closed")
        };
        Room {
            _all: all,
            _own: own,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RedactedUrl {
        RedactedUrl::new(text.parse().expect(text))
    }

    #[tokio::test]
    async fn a_full_lane_leaves_the_others_free_and_is_forgotten_when_unused() {
        let lanes = Lanes::new();
        let full = lanes.to(&url("http://hangs.example/a"));
        let mut taken = Vec::new();
        for _ in 0..EACH {
            taken.push(full.enter().await);
        }
        let same = lanes.to(&url("https://hangs.example:81/b"));
        assert_eq!(same.own.available_permits(), 0);
        let other = lanes.to(&url("http://works.example/"));
        let _room = other.enter().await;
        drop((taken, same));
        drop(full);
        let _third = lanes.to(&url("http://third.example/"));
        assert_eq!(lanes.receivers.lock().len(), 2);
    }
}
