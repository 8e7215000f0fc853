//! Cancelling jobs that have not ended, and forgetting those that have.

use super::scripts::{CANCEL, DELETE, EXPIRE};
use super::{Shared, age, progress, token, unexpected};
use crate::engine::{Cancelled, Deleted, DeliveryId, EngineError, Expired, Reason, ResultObject};
use crate::job::JobId;
use chrono::{DateTime, Utc};
use redis::{FromRedisValue, Value};
use serde::Deserialize;

/// Most jobs that are forgotten in one step: others wait for it.
const AT_ONCE: &str = "200";

/// Tells who runs a job that it was cancelled.
#[derive(Deserialize)]
pub(super) struct Notice {
    job: String,
    token: String,
    node: String,
    /// Empty for none.
    delivery: String,
    receiver: String,
    /// The token by which the node holds the delivery.
    hold: String,
}

impl Notice {
    pub(super) fn parse(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// Does what follows from it, if this node runs the job; does nothing the second time.
    pub(super) fn heed(&self, shared: &Shared) {
        let Ok(id) = JobId::parse(&self.job) else {
            return;
        };
        shared.held.lose(&id, &self.token, Reason::Cancelled);
        if self.node == shared.node.name() && !self.delivery.is_empty() {
            shared
                .deliveries
                .add(&self.delivery, &self.receiver, self.hold.clone());
        }
    }
}

/// Ends a job that has not ended, or all of a batch.
pub(super) async fn cancel(shared: &Shared, id: &JobId) -> Result<Option<Cancelled>, EngineError> {
    let (nonce, stamp, lease) = (token(), token(), shared.lease_text());
    // How far the jobs have come is kept, and may not have been told.
    progress::flush(shared).await?;
    let args = [id.as_str(), &nonce, &stamp, &lease];
    let answer: Vec<String> = shared.link.run(&CANCEL, &args).await?;
    for notice in answer.iter().skip(1).filter_map(|text| Notice::parse(text)) {
        notice.heed(shared);
    }
    match answer.first().map_or("", String::as_str) {
        "now" => Ok(Some(Cancelled::Now)),
        "ended" => Ok(Some(Cancelled::AlreadyEnded)),
        "unknown" => Ok(None),
        other => Err(unexpected(other)),
    }
}

/// Forgets a job that has ended, or a batch with all of its jobs.
pub(super) async fn delete(shared: &Shared, id: &JobId) -> Result<Option<Deleted>, EngineError> {
    let args = [id.as_str(), &token()];
    let answer: Vec<Value> = shared.link.run(&DELETE, &args).await?;
    let mut answer = answer.into_iter();
    let mut next = || answer.next().unwrap_or(Value::Nil);
    match &*String::from_redis_value(next()).map_err(unexpected)? {
        "gone" => {}
        "unfinished" => return Ok(Some(Deleted::Unfinished)),
        "unknown" => return Ok(None),
        other => return Err(unexpected(other)),
    }
    let [unused, deliveries] = [next(), next()].map(Vec::<String>::from_redis_value);
    for delivery in deliveries.map_err(unexpected)? {
        shared.deliveries.drop(DeliveryId::new(&delivery));
    }
    Ok(Some(Deleted::Gone(objects(&unused.map_err(unexpected)?))))
}

/// Forgets some of what ended before a time.
pub(super) async fn expire(shared: &Shared, before: DateTime<Utc>) -> Result<Expired, EngineError> {
    let age = age(before);
    let args = [age.as_str(), &token(), AT_ONCE];
    let mut answer = shared
        .link
        .run::<Vec<Value>>(&EXPIRE, &args)
        .await?
        .into_iter();
    let gone = usize::from_redis_value(answer.next().unwrap_or(Value::Nil)).map_err(unexpected)?;
    let unused = answer.filter_map(|name| String::from_redis_value(name).ok());
    Ok(Expired {
        gone,
        unused: objects(&unused.collect::<Vec<_>>()),
    })
}

/// Results by their names.
pub(super) fn objects(names: &[String]) -> Vec<ResultObject> {
    names
        .iter()
        .filter_map(|name| ResultObject::parse(name))
        .collect()
}
