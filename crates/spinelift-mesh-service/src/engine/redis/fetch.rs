//! Handing out jobs: the workers of this node wait here, and one task begins as many jobs as they
//! can take. What is left of the lanes to each image server is counted here too.

use super::Shared;
use super::scripts::{RETIRE, TAKE};
use super::token;
use super::{attempt, records};
use crate::engine::{Claim, EngineError, Lane, Outcome};
use crate::job::{JobError, JobId};
use parking_lot::Mutex;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;

/// How long nothing is asked for if nothing says that there is something: a message may be lost.
const POLL: Duration = Duration::from_secs(1);

/// Most jobs that are begun at once: others wait while a script runs.
const AT_ONCE: usize = 100;

/// Longest time to wait for what is being begun when the engine is closed.
const ENDING: Duration = Duration::from_secs(5);

type Handed = Result<(Claim, Lane), EngineError>;

/// The workers that wait, and the lanes that are used.
pub(super) struct Fetcher {
    waiting: Mutex<VecDeque<oneshot::Sender<Handed>>>,
    /// A worker has come.
    arrived: Notify,
    /// There may be something to be had.
    pub(super) stirred: Notify,
    busy: Mutex<Busy>,
    pub(super) closed: CancellationToken,
    /// Nothing more is begun.
    ended: CancellationToken,
}

impl Fetcher {
    pub(super) fn new() -> Self {
        Self {
            waiting: Mutex::default(),
            arrived: Notify::new(),
            stirred: Notify::new(),
            busy: Mutex::default(),
            closed: CancellationToken::new(),
            ended: CancellationToken::new(),
        }
    }

    /// Waits for a job; `None` once closed.
    pub(super) async fn next(&self) -> Result<Option<(Claim, Lane)>, EngineError> {
        let (sender, mut receiver) = oneshot::channel();
        if self.closed.is_cancelled() {
            return Ok(None);
        }
        self.waiting.lock().push_back(sender);
        self.arrived.notify_one();
        tokio::select! {
            biased;
            handed = &mut receiver => match handed {
                Ok(handed) => handed.map(Some),
                // The engine is gone.
                Err(_) => Ok(None),
            },
            () = self.closed.cancelled() => {
                // What was handed over at this very moment has begun, and is not to be lost.
                receiver.close();
                receiver.try_recv().ok().transpose()
            }
        }
    }

    fn wanted(&self) -> usize {
        let mut waiting = self.waiting.lock();
        waiting.retain(|sender| !sender.is_closed());
        waiting.len()
    }

    /// Hands something to a worker; gives it back if none waits.
    fn hand(&self, mut handed: Handed) -> Option<Handed> {
        loop {
            let Some(sender) = self.waiting.lock().pop_front() else {
                return Some(handed);
            };
            match sender.send(handed) {
                Ok(()) => return None,
                Err(back) => handed = back,
            }
        }
    }
}

/// How many jobs that load have to do with each server, and are of each client.
#[derive(Default)]
struct Busy {
    servers: HashMap<String, usize>,
    clients: HashMap<String, usize>,
}

impl Busy {
    fn add(&mut self, client: &str, server: &str) {
        *self.servers.entry(server.to_owned()).or_default() += 1;
        *self.clients.entry(client.to_owned()).or_default() += 1;
    }

    fn remove(&mut self, client: &str, server: &str) {
        for (counts, name) in [(&mut self.servers, server), (&mut self.clients, client)] {
            if let Some(count) = counts.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    counts.remove(name);
                }
            }
        }
    }
}

/// What is left of a bound.
fn room(counts: &HashMap<String, usize>, bound: usize) -> Vec<(String, String)> {
    let left = |count: usize| bound.saturating_sub(count).to_string();
    let counts = counts.iter();
    counts
        .map(|(name, count)| (name.clone(), left(*count)))
        .collect()
}

/// Takes a lane to a server, until it is dropped. What comes from no server needs none.
fn enter(fetcher: &Arc<Fetcher>, client: String, server: String) -> Lane {
    if server.is_empty() {
        return Lane::new(|| {});
    }
    fetcher.busy.lock().add(&client, &server);
    let fetcher = Arc::clone(fetcher);
    Lane::new(move || {
        fetcher.busy.lock().remove(&client, &server);
        fetcher.stirred.notify_one();
    })
}

/// Hands out jobs until it is closed. What is begun at that moment is given back.
pub(super) async fn run(shared: Arc<Shared>) {
    hand_out(&shared).await;
    if let Err(error) = shared.link.run::<u8>(&RETIRE, &[&shared.node.token]).await {
        tracing::debug!(%error, "this node may be woken once more, in vain");
    }
}

async fn hand_out(shared: &Arc<Shared>) {
    let fetcher = &shared.fetcher;
    let _ended = fetcher.ended.clone().drop_guard();
    // The same until there is an answer: what was begun and not heard of is handed out then.
    let mut nonce = token();
    loop {
        let wanted = fetcher.wanted().min(AT_ONCE);
        if fetcher.closed.is_cancelled() {
            return;
        }
        if wanted == 0 {
            tokio::select! {
                () = fetcher.arrived.notified() => continue,
                () = fetcher.closed.cancelled() => return,
            }
        }
        match take(shared, &nonce, wanted).await {
            Ok(taken) => {
                nonce = token();
                if taken < wanted {
                    rest(fetcher).await;
                }
            }
            Err(error) => {
                // One of them says so; the others wait.
                fetcher.hand(Err(error));
                tokio::select! {
                    () = tokio::time::sleep(POLL) => {}
                    () = fetcher.closed.cancelled() => {}
                }
            }
        }
    }
}

async fn rest(fetcher: &Fetcher) {
    tokio::select! {
        () = fetcher.stirred.notified() => {}
        () = fetcher.closed.cancelled() => {}
        () = tokio::time::sleep(POLL.mul_f64(0.75 + fastrand::f64() / 2.0)) => {}
    }
}

/// Begins jobs and hands them out; how many there were.
async fn take(shared: &Arc<Shared>, nonce: &str, wanted: usize) -> Result<usize, EngineError> {
    let (node, bounds) = (shared.node.name(), &shared.bounds);
    let (servers, clients) = {
        let busy = shared.fetcher.busy.lock();
        let servers = room(&busy.servers, bounds.lanes);
        (servers, room(&busy.clients, bounds.client_lanes))
    };
    let lease = shared.lease_text();
    let [wanted, cap, lanes, client_lanes, used, running] = [
        wanted,
        bounds.attempts as usize,
        bounds.lanes,
        bounds.client_lanes,
        servers.len(),
        shared.held.count(),
    ]
    .map(|number| number.to_string());
    let mut args = vec![
        node.as_str(),
        nonce,
        &wanted,
        &cap,
        &lease,
        &lanes,
        &client_lanes,
        &used,
        &shared.node.token,
        &running,
    ];
    for (name, left) in servers.iter().chain(&clients) {
        args.extend([name.as_str(), left]);
    }
    let taken: Vec<records::Fields> = shared.link.run(&TAKE, &args).await?;
    let number = taken.len();
    for fields in &taken {
        begin(shared, fields).await;
    }
    Ok(number)
}

async fn begin(shared: &Arc<Shared>, fields: &records::Fields) {
    let field = |name| fields.get(name).cloned().unwrap_or_default();
    let token = field("token");
    let error = match records::job(fields) {
        Ok(Some(job)) if field("spent") == "1" => JobError::attempts_exhausted(job.attempts),
        Ok(Some(job)) => {
            let lane = enter(&shared.fetcher, field("client"), field("server"));
            let claim = shared.held.begin(job, token);
            if let Some(Ok((claim, lane))) = shared.fetcher.hand(Ok((claim, lane))) {
                drop(lane);
                give_back(shared, &claim).await;
            }
            return;
        }
        Ok(None) => return,
        Err(error) => {
            // Left alone, it would come again and again.
            tracing::error!(job_id = field("id"), %error, "a queued job cannot be read; it failed");
            JobError::internal()
        }
    };
    let Ok(id) = JobId::parse(&field("id")) else {
        return;
    };
    let outcome = Outcome::Failed { error, percent: 0 };
    if let Err(error) = attempt::end(shared, &id, &token, &outcome).await {
        tracing::warn!(job_id = %id, %error, "a job could not be failed; it will be tried again");
    }
}

async fn give_back(shared: &Arc<Shared>, claim: &Claim) {
    if let Err(error) = attempt::release(shared, claim).await {
        not_given_back(&claim.job.id, &error);
    }
}

/// Waits until nothing more is begun, and gives back what was handed to workers that had just left:
/// once closed, nobody says that this node goes on with it.
pub(super) async fn finish(shared: &Shared) {
    // A script that hangs waits for its lease.
    let _ = tokio::time::timeout(ENDING, shared.fetcher.ended.cancelled()).await;
    for (id, token) in shared.held.all() {
        if let Err(error) = attempt::give_back(shared, &id, &token).await {
            not_given_back(&id, &error);
        }
    }
}

fn not_given_back(id: &JobId, error: &EngineError) {
    tracing::warn!(
        job_id = %id, %error,
        "a job could not be given back; it waits again when its lease has ended"
    );
}
