//! What waits for its turn, jobs and deliveries. The clients have their turns, within each client
//! the servers, and among those of one server first come is first served. A server that hangs
//! holds up its own only, and a client with many such servers leaves room for the others.

use crate::engine::{Backlog, Lane};
use parking_lot::Mutex;
use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// A bounded queue in memory. The bound is kept by whoever pushes: see [`Queue::room`].
pub(in super::super) struct Queue<K> {
    shared: Arc<Shared<K>>,
    limit: usize,
}

/// Something that waits, by name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in super::super) struct Waiting<K> {
    pub(in super::super) id: K,
    /// Whose turn it needs; all that belongs to nobody shares one.
    pub(in super::super) client: String,
    /// What it will have to do with; nothing if that is empty.
    pub(in super::super) server: String,
}

impl<K> Waiting<K> {
    /// Something of no client in particular.
    pub(in super::super) fn at(server: String, id: K) -> Self {
        let client = String::new();
        Self { id, client, server }
    }
}

/// How many may be busy at a time.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Lanes {
    /// With one server.
    pub(in super::super) server: usize,
    /// Of one client, with all servers together.
    pub(in super::super) client: usize,
}

struct Shared<K> {
    state: Mutex<State<K>>,
    changed: Notify,
    lanes: Lanes,
}

struct State<K> {
    clients: HashMap<String, Client<K>>,
    /// The clients that something waits for, in the order of their turns.
    turns: VecDeque<String>,
    /// How many have to do with each server at the moment; not with none.
    busy: HashMap<String, usize>,
    /// The arrivals of all that waits.
    waiting: BTreeSet<Arrival>,
    arrivals: u64,
    end: End,
}

/// When something came, and the number that tells it from what came at the same time.
type Arrival = (Instant, u64);

/// What waits for one server, in order.
type Line<K> = VecDeque<(K, Arrival)>;

struct Client<K> {
    /// Those that something waits for.
    servers: HashMap<String, Line<K>>,
    /// The same, in the order of their turns.
    turns: VecDeque<String>,
    /// How many of this client have to do with a server at the moment.
    busy: usize,
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

/// How something is put into a line.
type Put<K> = fn(&mut Line<K>, (K, Arrival));

impl<K: Eq + Hash + Send + 'static> Queue<K> {
    pub(in super::super) fn new(
        limit: usize,
        lanes: Lanes,
        waiting: impl IntoIterator<Item = Waiting<K>>,
    ) -> Self {
        let shared = Shared {
            state: Mutex::new(State {
                clients: HashMap::new(),
                turns: VecDeque::new(),
                busy: HashMap::new(),
                waiting: BTreeSet::new(),
                arrivals: 0,
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
        self.limit.saturating_sub(self.len())
    }

    pub(in super::super) fn len(&self) -> usize {
        self.shared.state.lock().waiting.len()
    }

    pub(in super::super) fn backlog(&self) -> Backlog {
        let state = self.shared.state.lock();
        let oldest = state.waiting.first();
        Backlog {
            waiting: state.waiting.len(),
            oldest: oldest.map_or(Duration::ZERO, |(since, _)| since.elapsed()),
        }
    }

    /// How many wait for each server or have to do with it.
    pub(in super::super) fn load(&self) -> HashMap<String, usize> {
        let state = self.shared.state.lock();
        let mut load = state.busy.clone();
        let lines = state.clients.values().flat_map(|client| &client.servers);
        for (server, line) in lines {
            *load.entry(server.clone()).or_default() += line.len();
        }
        load
    }

    pub(in super::super) fn push(&self, job: Waiting<K>) {
        self.shared.insert(job, VecDeque::push_back);
    }

    /// Puts back what could not be started, where it was.
    pub(in super::super) fn put_back(&self, job: Waiting<K>) {
        self.shared.insert(job, VecDeque::push_front);
    }

    /// Takes out what is not to be started any more, each line in one pass: of a large batch all
    /// may be in one long line.
    pub(in super::super) fn remove(&self, gone: &[Waiting<K>]) {
        let mut by_client: HashMap<&str, HashMap<&str, HashSet<&K>>> = HashMap::new();
        for job in gone {
            let servers = by_client.entry(&job.client).or_default();
            servers.entry(&job.server).or_default().insert(&job.id);
        }
        let mut state = self.shared.state.lock();
        for (client, servers) in by_client {
            state.remove(client, &servers);
        }
    }

    /// Waits for something whose client and server have lanes free; `None` once the queue is
    /// closed.
    pub(in super::super) async fn pop(&self) -> Option<(Waiting<K>, Lane)> {
        loop {
            let changed = self.shared.changed.notified();
            {
                let mut state = self.shared.state.lock();
                if state.end == End::Closed {
                    return None;
                }
                if let Some(job) = state.take(self.shared.lanes) {
                    if !state.turns.is_empty() {
                        // Only one of those who wait was woken.
                        self.shared.changed.notify_one();
                    }
                    drop(state);
                    let shared = Arc::clone(&self.shared);
                    let (client, server) = (job.client.clone(), job.server.clone());
                    return Some((job, Lane::new(move || shared.free(&client, &server))));
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
        self.state.lock().insert(job, put);
        self.changed.notify_one();
    }

    fn free(&self, client: &str, server: &str) {
        self.state.lock().free(client, server);
        self.changed.notify_one();
    }
}

impl<K> State<K> {
    fn insert(&mut self, job: Waiting<K>, put: Put<K>) {
        let arrival = (Instant::now(), self.arrivals);
        self.arrivals += 1;
        self.waiting.insert(arrival);
        let entry = self.clients.entry(job.client.clone());
        let client = entry.or_insert_with(|| Client {
            servers: HashMap::new(),
            turns: VecDeque::new(),
            busy: 0,
        });
        if client.turns.is_empty() {
            self.turns.push_back(job.client);
        }
        if !client.servers.contains_key(&job.server) {
            client.turns.push_back(job.server.clone());
        }
        put(
            client.servers.entry(job.server).or_default(),
            (job.id, arrival),
        );
    }

    /// No more servers can be full than there are workers, so a turn is found soon.
    fn take(&mut self, lanes: Lanes) -> Option<Waiting<K>> {
        let found = self.turns.iter().enumerate().find_map(|(turn, name)| {
            let server = self.clients.get(name)?.ready(&self.busy, lanes)?;
            Some((turn, server))
        });
        let (turn, server) = found?;
        let name = self.turns.remove(turn)?;
        let client = self.clients.get_mut(&name)?;
        let (server, id, arrival) = client.take(server)?;
        self.waiting.remove(&arrival);
        if !server.is_empty() {
            client.busy += 1;
            *self.busy.entry(server.clone()).or_default() += 1;
        }
        if !client.turns.is_empty() {
            self.turns.push_back(name.clone());
        }
        self.tidy(&name);
        Some(Waiting {
            id,
            client: name,
            server,
        })
    }

    /// One is done with its server.
    fn free(&mut self, client: &str, server: &str) {
        if server.is_empty() {
            return;
        }
        if let Some(busy) = self.busy.get_mut(server) {
            *busy -= 1;
            if *busy == 0 {
                self.busy.remove(server);
            }
        }
        if let Some(client) = self.clients.get_mut(client) {
            client.busy -= 1;
        }
        self.tidy(client);
    }

    /// Forgets a client that nothing waits for or is busy for.
    fn tidy(&mut self, name: &str) {
        let unused = |client: &Client<K>| client.servers.is_empty() && client.busy == 0;
        if self.clients.get(name).is_some_and(unused) {
            self.clients.remove(name);
        }
    }
}

impl<K: Eq + Hash> State<K> {
    fn remove(&mut self, name: &str, gone: &HashMap<&str, HashSet<&K>>) {
        let Some(client) = self.clients.get_mut(name) else {
            return;
        };
        for (server, gone) in gone {
            let Some(line) = client.servers.get_mut(*server) else {
                continue;
            };
            line.retain(|(id, arrival)| {
                let stays = !gone.contains(id);
                if !stays {
                    self.waiting.remove(arrival);
                }
                stays
            });
            if line.is_empty() {
                client.servers.remove(*server);
            }
        }
        let Client { servers, turns, .. } = client;
        turns.retain(|server| servers.contains_key(server));
        if turns.is_empty() {
            self.turns.retain(|client| client != name);
        }
        self.tidy(name);
    }
}

impl<K> Client<K> {
    /// The turn of the first server that can be had to do with. What comes from no server waits
    /// for none.
    fn ready(&self, busy: &HashMap<String, usize>, lanes: Lanes) -> Option<usize> {
        let may_load = self.busy < lanes.client;
        let is_free = |server: &String| busy.get(server).is_none_or(|busy| *busy < lanes.server);
        let ready = |server: &String| server.is_empty() || may_load && is_free(server);
        self.turns.iter().position(ready)
    }

    /// Takes the first out of the line of a server, which has its next turn behind the others.
    fn take(&mut self, turn: usize) -> Option<(String, K, Arrival)> {
        let server = self.turns.remove(turn)?;
        let line = self.servers.get_mut(&server)?;
        let (id, arrival) = line.pop_front()?;
        if line.is_empty() {
            self.servers.remove(&server);
        } else {
            self.turns.push_back(server.clone());
        }
        Some((server, id, arrival))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn lanes(server: usize, client: usize) -> Lanes {
        Lanes { server, client }
    }

    const ONE: Lanes = lanes(1, 1);
    const EACH_SERVER: Lanes = lanes(2, usize::MAX);
    const MANY: Lanes = lanes(8, 8);

    fn job(id: &str, server: &str) -> Waiting<String> {
        Waiting::at(server.to_owned(), id.to_owned())
    }

    async fn pop(queue: &Queue<String>) -> (String, Lane) {
        let (job, lane) = queue.pop().await.expect("open");
        (job.id, lane)
    }

    #[tokio::test]
    async fn a_server_that_hangs_holds_up_its_own_jobs_only() {
        let hanging = (0..10).map(|n| job(&format!("h{n}"), "hangs"));
        let queue = Queue::new(100, EACH_SERVER, hanging);
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
        let queue = Queue::new(100, ONE, (0..3).map(|n| job(&format!("u{n}"), "")));
        let mut lanes = Vec::new();
        for n in 0..3 {
            let (id, lane) = pop(&queue).await;
            assert_eq!(id, format!("u{n}"));
            lanes.push(lane);
        }
    }

    #[tokio::test]
    async fn what_is_removed_does_not_come_and_what_is_put_back_comes_first() {
        let queue = Queue::new(3, MANY, [job("a", "s"), job("b", "s"), job("c", "s")]);
        assert_eq!(queue.room(), 0);
        let (first, lane) = queue.pop().await.expect("open");
        queue.put_back(first);
        drop(lane);
        queue.remove(&[job("b", "s")]);
        assert_eq!(queue.room(), 1);
        assert_eq!(pop(&queue).await.0, "a");
        assert_eq!(pop(&queue).await.0, "c");
        {
            let state = queue.shared.state.lock();
            assert!(state.clients.is_empty() && state.busy.is_empty() && state.turns.is_empty());
        }
        queue.close();
        assert!(queue.pop().await.is_none());
    }

    fn job_of(client: &str, id: &str, server: &str) -> Waiting<String> {
        Waiting {
            client: client.to_owned(),
            ..job(id, server)
        }
    }

    #[tokio::test]
    async fn a_client_with_many_servers_leaves_room_for_others_and_for_its_uploads() {
        let loading = (0..10).map(|n| job_of("greedy", &format!("g{n}"), &format!("s{n}")));
        let queue = Queue::new(100, lanes(2, 3), loading);
        let mut busy = Vec::new();
        for _ in 0..3 {
            busy.push(pop(&queue).await);
        }
        let mut next = Box::pin(pop(&queue));
        assert!(futures_poll(&mut next).await.is_none(), "it has its share");
        queue.push(job_of("greedy", "upload", ""));
        assert_eq!(next.await.0, "upload");
        queue.push(job_of("honest", "h", "s0"));
        let (id, lane) = pop(&queue).await;
        assert_eq!(id, "h");
        drop(lane);
        drop(busy.remove(0));
        assert_eq!(pop(&queue).await.0, "g3");
    }

    #[tokio::test]
    async fn clients_take_turns_whatever_each_has_waiting() {
        let many = (0..6).map(|n| job_of("a", &format!("a{n}"), &format!("s{}", n % 3)));
        let queue = Queue::new(100, MANY, many);
        for n in 0..2 {
            queue.push(job_of("b", &format!("b{n}"), "s0"));
        }
        let mut order = Vec::new();
        for _ in 0..8 {
            order.push(pop(&queue).await.0);
        }
        assert_eq!(order, ["a0", "b0", "a1", "b1", "a2", "a3", "a4", "a5"]);
    }

    #[tokio::test]
    async fn many_are_removed_in_one_pass_and_the_counts_stay_exact() {
        // With one pass for each of them this would take minutes.
        let job = |n: u32| {
            job_of(
                "c",
                &n.to_string(),
                if n.is_multiple_of(2) { "s" } else { "t" },
            )
        };
        let queue = Queue::new(200_000, MANY, (0..100_000).map(job));
        let gone: Vec<_> = (0..100_000).filter(|n| n % 1000 != 0).map(job).collect();
        queue.remove(&gone);
        queue.remove(&gone);
        assert_eq!((queue.len(), queue.room()), (100, 199_900));
        for n in 0..100 {
            assert_eq!(pop(&queue).await.0, (n * 1000).to_string());
        }
        assert_eq!((queue.len(), queue.backlog().oldest), (0, Duration::ZERO));
        let state = queue.shared.state.lock();
        assert!(state.clients.is_empty() && state.turns.is_empty() && state.busy.is_empty());
    }

    #[tokio::test]
    async fn the_oldest_is_the_oldest_of_those_that_still_wait() {
        let queue = Queue::new(9, MANY, [job("a", "s"), job("b", "t")]);
        let waiting = |queue: &Queue<String>| queue.shared.state.lock().waiting.first().copied();
        let a = waiting(&queue).expect("two wait");
        queue.remove(&[job("a", "s")]);
        let b = waiting(&queue).expect("one waits");
        assert!(a < b);
        drop(pop(&queue).await);
        assert_eq!(waiting(&queue), None);
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
