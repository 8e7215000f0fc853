//! Single flight: what many want to do at the same time is done by one after the other.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Weak};
use tokio::sync::OwnedMutexGuard;

/// What is done or waited for, by what it is about: the computations by what they make, the
/// uploads by their jobs.
pub(crate) struct Flights<K>(Mutex<HashMap<K, Weak<tokio::sync::Mutex<()>>>>);

/// The right to do it, until it is dropped; the next then finds what was done.
pub(crate) struct Flight {
    _turn: OwnedMutexGuard<()>,
}

impl<K> Default for Flights<K> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<K: Clone + Eq + Hash> Flights<K> {
    /// Waits until nobody else does the same.
    pub(crate) async fn enter(&self, key: &K) -> Flight {
        let lock = self.lock(key);
        Flight {
            _turn: lock.lock_owned().await,
        }
    }

    fn lock(&self, key: &K) -> Arc<tokio::sync::Mutex<()>> {
        let mut flights = self.0.lock();
        if let Some(lock) = flights.get(key).and_then(Weak::upgrade) {
            return lock;
        }
        // There are as many as jobs that run, so this is quick.
        flights.retain(|_, lock| lock.strong_count() > 0);
        let lock = Arc::default();
        flights.insert(key.clone(), Arc::downgrade(&lock));
        lock
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ResultKey;
    use spinelift_mesh::MeshParameters;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test]
    async fn one_at_a_time_for_each_key() {
        let flights = Arc::new(Flights::default());
        let key = |n| ResultKey::new(&[n; 32], &MeshParameters::default());
        let flying = Arc::new(AtomicUsize::new(0));
        let other = flights.enter(&key(1)).await;
        let tasks = (0..50).map(|_| {
            let (flights, flying, key) = (Arc::clone(&flights), Arc::clone(&flying), key(0));
            tokio::spawn(async move {
                let _flight = flights.enter(&key).await;
                assert_eq!(flying.fetch_add(1, Ordering::SeqCst), 0);
                tokio::task::yield_now().await;
                flying.fetch_sub(1, Ordering::SeqCst);
            })
        });
        for task in tasks.collect::<Vec<_>>() {
            task.await.expect("one at a time");
        }
        drop(other);
        drop(flights.enter(&key(2)).await);
        assert_eq!(flights.0.lock().len(), 1, "the others are forgotten");
    }
}
