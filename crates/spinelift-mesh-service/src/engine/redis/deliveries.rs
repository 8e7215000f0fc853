//! The outbox: deliveries that this node has, and how it gets more of them.

use super::records::{self, Fields};
use super::scripts::{ATTEMPTED, DELIVERIES, DUE, GIVE_BACK, HAND_OUT, REPLAY, UNDELIVERED};
use super::{Shared, age, token, unexpected};
use crate::engine::queue::{Lanes, Queue, Waiting};
use crate::engine::{
    Attempt, Delivery, DeliveryId, DeliveryRecord, EngineError, Lane, Next, Replayed,
};
use crate::job::JobId;
use parking_lot::Mutex;
use redis::{FromRedisValue, Value};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// Most attempts of one delivery that are kept.
const LOG: &str = "50";

/// Most deliveries that are fetched at once.
const AT_ONCE: usize = 64;

/// A node that has so many waiting takes no more, not even those of the jobs that it ends.
const MANY: usize = 1000;

/// How long nothing is asked for if nothing says that there is something: a message may be lost.
const POLL: Duration = Duration::from_secs(1);

/// The deliveries that wait here or are being made here, and the tokens by which they are held.
pub(super) struct Deliveries {
    queue: Queue<DeliveryId>,
    held: Mutex<HashMap<DeliveryId, Hold>>,
    /// How many wait for one.
    callers: AtomicUsize,
    called: Notify,
    /// There may be something to be had.
    pub(super) stirred: Notify,
    finishing: AtomicBool,
    /// Whether this node makes deliveries at all.
    makes: bool,
}

/// That this node holds a delivery.
struct Hold {
    token: String,
    receiver: String,
}

/// A caller, as long as it waits.
struct Calling<'a>(&'a AtomicUsize);

impl Drop for Calling<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
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

    fn token(&self, id: &DeliveryId) -> Option<String> {
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

    fn waiting(&self) -> usize {
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

/// Waits for a delivery that is due.
pub(super) async fn due(shared: &Shared) -> Result<Option<(Delivery, Lane)>, EngineError> {
    let deliveries = &shared.deliveries;
    deliveries.callers.fetch_add(1, Ordering::Relaxed);
    let _calling = Calling(&deliveries.callers);
    deliveries.called.notify_one();
    loop {
        let Some((waiting, lane)) = deliveries.queue.pop().await else {
            return Ok(None);
        };
        let Some(token) = deliveries.token(&waiting.id) else {
            continue;
        };
        match hand_out(shared, &waiting.id, &token).await {
            Ok(Some(delivery)) => return Ok(Some((delivery, lane))),
            Ok(None) => deliveries.lose(waiting.id.as_str(), &token),
            Err(error @ EngineError::Damaged { .. }) => {
                tracing::error!(
                    delivery = %waiting.id, %error,
                    "a delivery cannot be read; it is given up"
                );
                let attempt = Attempt {
                    at: crate::clock::now(),
                    took: Duration::ZERO,
                    status: None,
                    error: Some(error.to_string()),
                };
                record(shared, &waiting.id, attempt, Next::GiveUp).await?;
            }
            Err(error) => {
                deliveries.queue.put_back(waiting);
                return Err(error);
            }
        }
    }
}

async fn hand_out(
    shared: &Shared,
    id: &DeliveryId,
    token: &str,
) -> Result<Option<Delivery>, EngineError> {
    let lease = shared.lease_text();
    let args = [id.as_str(), token, &lease];
    let fields: Fields = shared.link.run(&HAND_OUT, &args).await?;
    match fields.is_empty() {
        true => Ok(None),
        false => records::delivery(&fields).map(Some),
    }
}

/// Fetches deliveries as long as somebody waits for one.
pub(super) async fn run(shared: Arc<Shared>) {
    let deliveries = &shared.deliveries;
    loop {
        if deliveries.callers.load(Ordering::Relaxed) == 0 {
            deliveries.called.notified().await;
        }
        if deliveries.finishing.load(Ordering::Relaxed) {
            return;
        }
        let pause = match fetch(&shared).await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::debug!(%error, "no deliveries could be fetched");
                POLL
            }
        };
        if !pause.is_zero() {
            tokio::select! {
                () = deliveries.stirred.notified() => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

/// Fetches what is due; how long nothing more will be.
async fn fetch(shared: &Shared) -> Result<Duration, EngineError> {
    let deliveries = &shared.deliveries;
    let most = MANY.saturating_sub(deliveries.waiting()).min(AT_ONCE);
    let lanes = shared.bounds.delivery_lanes;
    let (token, lease) = (token(), shared.lease_text());
    let numbers = [most, lanes].map(|number| number.to_string());
    let mut args = vec![token.as_str(), &lease, &numbers[0], &numbers[1]];
    let room = deliveries.queue.load();
    let room: Vec<_> = room
        .into_iter()
        .map(|(receiver, load)| (receiver, lanes.saturating_sub(load).to_string()))
        .collect();
    for (receiver, free) in &room {
        args.extend([receiver.as_str(), free]);
    }
    let answer: Vec<Value> = shared.link.run(&DUE, &args).await?;
    let mut answer = answer.into_iter();
    let until_next = i64::from_redis_value(answer.next().unwrap_or(Value::Nil));
    let until_next = until_next.map_err(unexpected)?;
    let texts: Result<Vec<String>, _> = answer.map(String::from_redis_value).collect();
    let texts = texts.map_err(unexpected)?;
    for pair in texts.chunks_exact(2) {
        deliveries.add(&pair[0], &pair[1], token.clone());
    }
    if texts.len() / 2 >= AT_ONCE {
        return Ok(Duration::ZERO);
    }
    // Not all nodes at once.
    let poll = POLL.mul_f64(0.75 + fastrand::f64() / 2.0);
    let until_next = u64::try_from(until_next).map_or(poll, Duration::from_millis);
    Ok(until_next.clamp(Duration::from_millis(1), poll))
}

/// Records what came of an attempt.
pub(super) async fn attempted(
    shared: &Shared,
    delivery: &Delivery,
    attempt: Attempt,
    next: Next,
) -> Result<(), EngineError> {
    record(shared, &delivery.id, attempt, next).await
}

async fn record(
    shared: &Shared,
    id: &DeliveryId,
    attempt: Attempt,
    next: Next,
) -> Result<(), EngineError> {
    let held = shared.deliveries.token(id).unwrap_or_default();
    let nonce = token();
    let (step, delay) = match next {
        Next::Delivered => ("delivered", Duration::ZERO),
        Next::GiveUp => ("give_up", Duration::ZERO),
        Next::RetryAfter(delay) => ("retry", delay),
    };
    let (age, entry) = (age(attempt.at), records::stored_attempt(&attempt));
    let delay = delay.as_millis().to_string();
    let args = [id.as_str(), &held, &nonce, &age, &entry, step, &delay, LOG];
    shared.link.run::<u8>(&ATTEMPTED, &args).await?;
    shared.deliveries.lose(id.as_str(), &held);
    shared.deliveries.stirred.notify_one();
    Ok(())
}

/// All deliveries of a job or batch.
pub(super) async fn list(shared: &Shared, of: &JobId) -> Result<Vec<DeliveryRecord>, EngineError> {
    let all: Vec<(Fields, Vec<String>)> = shared.link.run(&DELIVERIES, &[of.as_str()]).await?;
    all.iter()
        .map(|(fields, log)| records::delivery_record(fields, log))
        .collect()
}

/// Makes a delivery due once more.
pub(super) async fn replay(
    shared: &Shared,
    of: &JobId,
    id: &DeliveryId,
) -> Result<Replayed, EngineError> {
    let args = [of.as_str(), id.as_str()];
    let answer: String = shared.link.run(&REPLAY, &args).await?;
    let replayed = match answer.as_str() {
        "unknown" => return Ok(Replayed::Unknown),
        "now" => Replayed::Now,
        "hastened" => Replayed::Hastened,
        other => return Err(unexpected(other)),
    };
    shared.deliveries.drop(id.clone());
    shared.deliveries.stirred.notify_one();
    Ok(replayed)
}

/// How many wait: for their time anywhere, or for their turn here.
pub(super) async fn undelivered(shared: &Shared) -> Result<usize, EngineError> {
    let elsewhere: usize = shared.link.run(&UNDELIVERED, &[]).await?;
    Ok(elsewhere + shared.deliveries.waiting())
}

/// Gives back what waits here, or is being made here, for another node.
pub(super) async fn give_back(shared: &Shared) {
    let held = shared.deliveries.all();
    if held.is_empty() {
        return;
    }
    let pairs = held.iter().flat_map(|(id, token)| [id.as_str(), token]);
    let args: Vec<_> = pairs.collect();
    if let Err(error) = shared.link.run::<u8>(&GIVE_BACK, &args).await {
        tracing::warn!(%error, "deliveries could not be given back; they wait for their leases");
    }
}
