//! What waits for its turn, jobs and deliveries: first come first served among those of one
//! server, and the servers by turns. A server that hangs holds up its own only.

use crate::engine::{Backlog, Lane};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A bounded queue in memory. The bound is kept by whoever pushes: see [`Queue::room`].
pub(in super::super) struct Queue<K> {
    shared: Arc<Shared<K>>,
    limit: usize,
}

/// Something that waits, by name, and the server that it will have to do with; none if that is
/// empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct Waiting<K> {
    pub(in super::super) id: K,
    pub(in super::super) server: String,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    /// Most that have to do with one server at a time.
    lanes: usize,
}

struct State<K> {
    servers: HashMap<String, Server<K>>,
    /// The servers that something waits for and that have a lane free, in the order of their turns.
    ready: VecDeque<String>,
    waiting: usize,
    end: End,
}

/// How a queue ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    /// Not yet.
    Open,
    /// What is ready is still handed out.
    Finishing,
    /// At once.
    Closed,
}

struct Server<K> {
    waiting: VecDeque<(K, Instant)>,
    /// How many have to do with it at the moment.
    busy: usize,
    is_ready: bool,
}

/// How something is put into a queue.
type Put<K> = fn(&mut VecDeque<(K, Instant)>, (K, Instant));

impl<K: PartialEq + Send + 'static> Queue<K> {
    pub(in super::super) fn new(
        limit: usize,
        lanes: usize,
        waiting: impl IntoIterator<Item = Waiting<K>>,
    ) -> Self {
        let shared = Shared {
            state: Mutex::new(State {
                servers: HashMap::new(),
                ready: VecDeque::new(),
                waiting: 0,
                end: End::Open,
            }),
            changed: Notify::new(),
            lanes,
        };
        for job in waiting {
            shared.insert(job, VecDeque::push_back);
        }
        Self {
            shared: Arc::new(shared),
            limit,
        }
    }

    pub(in super::super) fn limit(&self) -> usize {
        self.limit
    }

    /// How many more may be pushed.
    pub(in super::super) fn room(&self) -> usize {
        let waiting = self.shared.state.lock().waiting;
        self.limit.saturating_sub(waiting)
    }

    pub(in super::super) fn backlog(&self) -> Backlog {
        let state = self.shared.state.lock();
        let first = |server: &Server<K>| server.waiting.front().map(|(_, since)| *since);
        let oldest = state.servers.values().filter_map(first).min();
        Backlog {
            waiting: state.waiting,
            oldest: oldest.map_or(Duration::ZERO, |since| since.elapsed()),
        }
    }

    /// How many wait for each server or have to do with it.
    pub(in super::super) fn load(&self) -> HashMap<String, usize> {
        let state = self.shared.state.lock();
        let servers = state.servers.iter();
        servers
            .map(|(name, server)| (name.clone(), server.waiting.len() + server.busy))
            .collect()
    }

    pub(in super::super) fn push(&self, job: Waiting<K>) {
        self.shared.insert(job, VecDeque::push_back);
    }

    /// Puts back what could not be started, where it was.
    pub(in super::super) fn put_back(&self, job: Waiting<K>) {
        self.shared.insert(job, VecDeque::push_front);
    }

    /// Takes out what is not to be started any more.
    pub(in super::super) fn remove(&self, id: &K, server: &str) {
        let mut state = self.shared.state.lock();
        let Some(entry) = state.servers.get_mut(server) else {
            return;
        };
        let before = entry.waiting.len();
        entry.waiting.retain(|(waiting, _)| waiting != id);
        let removed = before - entry.waiting.len();
        state.waiting -= removed;
        state.tidy(server);
    }

    /// Waits for something whose server has a lane free; `None` once the queue is closed.
    pub(in super::super) async fn pop(&self) -> Option<(Waiting<K>, Lane)> {
        loop {
            let changed = self.shared.changed.notified();
            {
                let mut state = self.shared.state.lock();
                if state.end == End::Closed {
                    return None;
                }
                if let Some(job) = state.take(self.shared.lanes) {
                    if !state.ready.is_empty() {
                        // Only one of those who wait was woken.
                        self.shared.changed.notify_one();
                    }
                    drop(state);
                    let (shared, server) = (Arc::clone(&self.shared), job.server.clone());
                    return Some((job, Lane::new(move || shared.free(&server))));
                }
                if state.end == End::Finishing {
                    return None;
                }
            }
            changed.await;
        }
    }

    /// Hands out no more, from now on.
    pub(in super::super) fn close(&self) {
        self.end(End::Closed);
    }

    /// Hands out no more but what is ready.
    pub(in super::super) fn finish(&self) {
        self.end(End::Finishing);
    }

    fn end(&self, end: End) {
        self.shared.state.lock().end = end;
        self.shared.changed.notify_waiters();
    }
}

impl<K> Shared<K> {
    fn insert(&self, job: Waiting<K>, put: Put<K>) {
        let mut state = self.state.lock();
        let entry = state.servers.entry(job.server.clone());
        let server = entry.or_insert_with(|| Server {
            waiting: VecDeque::new(),
            busy: 0,
            is_ready: false,
        });
        put(&mut server.waiting, (job.id, Instant::now()));
        state.waiting += 1;
        state.make_ready(&job.server, self.lanes);
        drop(state);
        self.changed.notify_one();
    }

    fn free(&self, server: &str) {
        let mut state = self.state.lock();
        if let Some(entry) = state.servers.get_mut(server) {
            entry.busy = entry.busy.saturating_sub(1);
        }
        state.make_ready(server, self.lanes);
        state.tidy(server);
        drop(state);
        self.changed.notify_one();
    }
}

impl<K> State<K> {
    fn take(&mut self, lanes: usize) -> Option<Waiting<K>> {
        while let Some(name) = self.ready.pop_front() {
            let Some(server) = self.servers.get_mut(&name) else {
                continue;
            };
            server.is_ready = false;
            let Some((id, _)) = server.waiting.pop_front() else {
                continue;
            };
            server.busy += 1;
            self.waiting -= 1;
            self.make_ready(&name, lanes);
            return Some(Waiting { id, server: name });
        }
        None
    }

    /// Gives a server its turn, behind the others, if it can use one.
    fn make_ready(&mut self, name: &str, lanes: usize) {
        if let Some(server) = self.servers.get_mut(name) {
            // What comes from no server waits for none.
            let is_free = name.is_empty() || server.busy < lanes;
            if is_free && !server.is_ready && !server.waiting.is_empty() {
                server.is_ready = true;
                self.ready.push_back(name.to_owned());
            }
        }
    }

    /// Forgets a server that nothing waits for or loads from.
    fn tidy(&mut self, name: &str) {
        let unused = |server: &Server<K>| server.waiting.is_empty() && server.busy == 0;
        if self.servers.get(name).is_some_and(unused) {
            self.servers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, server: &str) -> Waiting<String> {
        Waiting {
            id: id.to_owned(),
            server: server.to_owned(),
        }
    }

    async fn pop(queue: &Queue<String>) -> (String, Lane) {
        let (job, lane) = queue.pop().await.expect("open");
        (job.id, lane)
    }

    #[tokio::test]
    async fn a_server_that_hangs_holds_up_its_own_jobs_only() {
        let hanging = (0..10).map(|n| job(&format!("h{n}"), "hangs"));
        let queue = Queue::new(100, 2, hanging);
        queue.push(job("a0", "works"));
        queue.push(job("a1", "works"));
        let mut lanes = Vec::new();
        let mut order = Vec::new();
        for _ in 0..4 {
            let (id, lane) = pop(&queue).await;
            order.push(id);
            lanes.push(lane);
        }
        assert_eq!(order, ["h0", "a0", "h1", "a1"]);
        assert_eq!(queue.backlog().waiting, 8);
        let mut next = Box::pin(pop(&queue));
        assert!(
            futures_poll(&mut next).await.is_none(),
            "both lanes are taken"
        );
        drop(lanes.remove(0));
        assert_eq!(next.await.0, "h2");
    }

    #[tokio::test]
    async fn what_comes_from_no_server_waits_for_none() {
        let queue = Queue::new(100, 1, (0..3).map(|n| job(&format!("u{n}"), "")));
        let mut lanes = Vec::new();
        for n in 0..3 {
            let (id, lane) = pop(&queue).await;
            assert_eq!(id, format!("u{n}"));
            lanes.push(lane);
        }
    }

    #[tokio::test]
    async fn what_is_removed_does_not_come_and_what_is_put_back_comes_first() {
        let queue = Queue::new(3, 8, [job("a", "s"), job("b", "s"), job("c", "s")]);
        assert_eq!(queue.room(), 0);
        let (first, lane) = queue.pop().await.expect("open");
        queue.put_back(first);
        drop(lane);
        queue.remove(&"b".to_owned(), "s");
        assert_eq!(queue.room(), 1);
        assert_eq!(pop(&queue).await.0, "a");
        assert_eq!(pop(&queue).await.0, "c");
        assert!(queue.shared.state.lock().servers.is_empty());
        queue.close();
        assert!(queue.pop().await.is_none());
    }

    /// Polls once.
    async fn futures_poll<T>(future: &mut (impl Future<Output = T> + Unpin)) -> Option<T> {
        tokio::select! {
            biased;
            value = future => Some(value),
            () = std::future::ready(()) => None,
        }
    }
}
