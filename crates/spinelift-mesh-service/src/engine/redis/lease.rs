//! Leases: what this node holds is its own as long as it says so again and again. What a node has
//! that says nothing any more is taken from it by any other.

use super::scripts::{HEARTBEAT, REAP};
use super::{Shared, attempt, unexpected};
use crate::engine::{EngineError, Fenced, Outcome, Reason};
use crate::job::{JobError, JobId};
use crate::outage::Outage;
use parking_lot::Mutex;
use redis::{FromRedisValue, Value};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::MissedTickBehavior;

/// Longest pause between looks for attempts that nobody goes on with.
const LONGEST_ROUND: Duration = Duration::from_secs(1);

/// Every so many rounds the consumers of nodes that are gone are removed.
const TIDY_EVERY: u32 = 60;

/// Says again and again that this node lives.
pub(super) async fn keep(shared: Arc<Shared>) {
    let mut ticks = tokio::time::interval(shared.lease / 3);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let outage = Outage::default();
    loop {
        // At once after an outage: others may think this node dead, and the server may have
        // forgotten what all nodes know. A node that has nothing to do hears of it by its messages.
        tokio::select! {
            _ = ticks.tick() => {}
            () = shared.link.reconnected() => {}
            () = shared.listening.notified() => {}
        }
        match beat(&shared).await {
            // That there is a connection again is said where it is made.
            Ok(()) => {
                let _ = outage.is_over();
            }
            Err(error) if outage.is_news() => {
                tracing::warn!(%error, "Redis was not told that this node lives");
            }
            Err(_) => {}
        }
    }
}

async fn beat(shared: &Shared) -> Result<(), EngineError> {
    let (node, lease) = (shared.node.name(), shared.lease_text());
    let text = |(a, b): (String, String)| [a, b];
    let groups: [Vec<[String; 2]>; 4] = [
        shared
            .held
            .all()
            .into_iter()
            .map(|(id, token)| text((id.to_string(), token)))
            .collect(),
        shared
            .deliveries
            .all()
            .into_iter()
            .map(|(id, token)| text((id.to_string(), token)))
            .collect(),
        shared.locks.all().into_iter().map(text).collect(),
        shared.secrets.all().into_iter().map(text).collect(),
    ];
    let counts = groups.each_ref().map(|group| group.len().to_string());
    // Not while it is being shut down.
    let works = shared.works && !shared.fetcher.closed.is_cancelled();
    let works = if works { "1" } else { "0" };
    let mut args = vec![
        node.as_str(),
        &shared.node.token,
        &lease,
        works,
        &shared.signing,
    ];
    for (group, count) in groups.iter().zip(&counts) {
        args.push(count);
        args.extend(group.iter().flatten().map(String::as_str));
    }
    type Lost = Vec<String>;
    let answer: (u8, Lost, Lost, Lost, String, bool) = shared.link.run(&HEARTBEAT, &args).await?;
    let (has_name, jobs, deliveries, secrets, memory, some_work) = answer;
    if has_name == 0 {
        shared.node.rename();
    }
    shared.memory.is(memory, &node);
    if !shared.works {
        shared.workers.are_heard(some_work, shared.lease, &node);
    }
    for lost in jobs.chunks_exact(3) {
        lose_job(shared, &lost[0], &lost[1], &lost[2]);
    }
    for lost in deliveries.chunks_exact(2) {
        shared.deliveries.lose(&lost[0], &lost[1]);
    }
    shared.secrets.lose(&secrets);
    Ok(())
}

/// `why` is the word of the script. Whoever makes the attempt says so in the log.
fn lose_job(shared: &Shared, id: &str, token: &str, why: &str) {
    let Ok(id) = JobId::parse(id) else { return };
    let reason = match why {
        "cancelled" => Reason::Cancelled,
        "gone" => Reason::Gone,
        _ => Reason::LeaseOver,
    };
    if shared.held.lose(&id, token, reason) {
        shared.metrics.lost.increment(1);
    }
}

/// What the server's memory is called, by which one that has lost its data is known.
#[derive(Default)]
pub(super) struct Memory(Mutex<Option<String>>);

impl Memory {
    fn is(&self, name: String, node: &str) {
        let known = self.0.lock().replace(name.clone());
        if known.is_some_and(|known| known != name) {
            tracing::error!(
                node,
                "Redis has lost its data: the jobs that waited or ran are gone, and what is known \
                 of results with them; new ones are accepted"
            );
        }
    }
}

/// Looks again and again for attempts that nobody goes on with.
pub(super) async fn reap(shared: Arc<Shared>) {
    let round = (shared.lease / 4).min(LONGEST_ROUND);
    let mut ticks = tokio::time::interval(round);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut number = 0_u32;
    loop {
        ticks.tick().await;
        number = number.wrapping_add(1);
        if let Err(error) = look(&shared, round, number.is_multiple_of(TIDY_EVERY)).await {
            tracing::debug!(%error, "attempts that nobody goes on with were not looked for");
        }
    }
}

async fn look(shared: &Shared, round: Duration, tidies: bool) -> Result<(), EngineError> {
    let (lease, cap) = (shared.lease_text(), shared.bounds.attempts.to_string());
    // A little less, so that each node's own next round finds the way free.
    let round = (round.as_millis() * 9 / 10).max(1).to_string();
    let tidies = if tidies { "1" } else { "0" };
    let mut cursor = "0".to_owned();
    loop {
        let args = [cursor.as_str(), &lease, &cap, &round, tidies];
        // Other nodes that lost their connections as well must have had the time to be heard again.
        let answer = shared
            .link
            .run_if_steady(&REAP, &args, shared.lease)
            .await?;
        let Some(answer): Option<Vec<Value>> = answer else {
            return Ok(());
        };
        let [next, requeued, spent] =
            <[Value; 3]>::try_from(answer).map_err(|_| unexpected("reap"))?;
        let requeued = u64::from_redis_value(requeued).map_err(unexpected)?;
        if requeued > 0 {
            shared.metrics.requeued.increment(requeued);
            tracing::warn!(jobs = requeued, "jobs of a node that is gone wait again");
        }
        let spent = Vec::<(String, String, u32)>::from_redis_value(spent).map_err(unexpected)?;
        for (id, token, attempts) in spent {
            exhaust(shared, &id, &token, attempts).await?;
        }
        cursor = String::from_redis_value(next).map_err(unexpected)?;
        if cursor == "0" {
            return Ok(());
        }
    }
}

/// Fails a job whose attempts have all ended with their nodes.
async fn exhaust(shared: &Shared, id: &str, token: &str, attempts: u32) -> Result<(), EngineError> {
    let id = JobId::parse(id).map_err(unexpected)?;
    let outcome = Outcome::Failed {
        error: JobError::attempts_exhausted(attempts),
        percent: 0,
    };
    if attempt::end(shared, &id, token, &outcome).await? == Fenced::Recorded {
        shared.metrics.exhausted.increment(1);
        tracing::warn!(job_id = %id, attempts, "a job has no attempt left; it failed");
    }
    Ok(())
}
