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
mod tests;
