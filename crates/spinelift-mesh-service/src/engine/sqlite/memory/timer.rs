//! What waits for its time.

use parking_lot::Mutex;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::hash::Hash;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Ordered by time. Time is the monotonic clock's: a wall clock that is set back holds nothing
/// up.
pub(super) struct Timer<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    closed: CancellationToken,
}

struct State<K> {
    heap: BinaryHeap<Reverse<(Instant, K)>>,
    /// When each is really due: what is in the heap besides has been overtaken.
    at: HashMap<K, Instant>,
}

impl<K: Ord> Default for Timer<K> {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                heap: BinaryHeap::new(),
                at: HashMap::new(),
            }),
            changed: Notify::new(),
            closed: CancellationToken::new(),
        }
    }
}

impl<K: Clone + Ord + Hash> Timer<K> {
    pub(super) fn push(&self, id: K, delay: Duration) {
        let at = Instant::now() + delay;
        let mut state = self.state.lock();
        state.at.insert(id.clone(), at);
        state.heap.push(Reverse((at, id)));
        drop(state);
        self.changed.notify_one();
    }

    /// It is not to be made any more.
    pub(super) fn remove(&self, id: &K) {
        self.state.lock().at.remove(id);
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().at.len()
    }

    /// Waits for one that is due, and takes it out; `None` once closed.
    pub(super) async fn pop(&self) -> Option<K> {
        loop {
            if self.closed.is_cancelled() {
                return None;
            }
            let next = match self.take() {
                Ok(id) => {
                    // Another may be due, and only one of those who wait was woken.
                    self.changed.notify_one();
                    return Some(id);
                }
                Err(next) => next,
            };
            let elapsed = async {
                match next {
                    Some(at) => tokio::time::sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.changed.notified() => {}
                () = elapsed => {}
                () = self.closed.cancelled() => return None,
            }
        }
    }

    /// The first that is due, or the time of the first.
    fn take(&self) -> Result<K, Option<Instant>> {
        let mut state = self.state.lock();
        let now = Instant::now();
        while let Some(Reverse((at, id))) = state.heap.peek() {
            if state.at.get(id) != Some(at) {
                state.heap.pop();
                continue;
            }
            if *at > now {
                return Err(Some(*at));
            }
            let Some(Reverse((_, id))) = state.heap.pop() else {
                break;
            };
            state.at.remove(&id);
            return Ok(id);
        }
        Err(None)
    }

    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_waits_comes_when_it_is_due_and_only_once() {
        let due = Timer::default();
        due.push("later", Duration::from_secs(60));
        due.push("now", Duration::ZERO);
        due.push("gone", Duration::ZERO);
        due.push("hastened", Duration::from_secs(600));
        due.push("hastened", Duration::from_secs(1));
        due.remove(&"gone");
        assert_eq!(due.len(), 3);
        let began = Instant::now();
        for (name, seconds) in [("now", 0), ("hastened", 1), ("later", 60)] {
            assert_eq!(due.pop().await, Some(name));
            assert_eq!(began.elapsed().as_secs(), seconds, "{name}");
        }
        assert_eq!(due.len(), 0);
        due.close();
        assert_eq!(due.pop().await, None);
    }
}
