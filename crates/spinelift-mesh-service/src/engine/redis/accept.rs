//! Accepting jobs and batches.

use super::records::{self, Fields};
use super::scripts::{ACCEPT, ACCEPT_BATCH, CHECK_ROOM};
use super::{Shared, token, unexpected};
use crate::engine::{Accepted, AcceptedBatch, EngineError, NewBatch, NewJob, new_generation};
use crate::fault;
use crate::job::JobId;
use crate::redacted::RedactedUrl;
use redis::{FromRedisValue, ParsingError, Value};

/// What the scripts answer.
enum Answer {
    Created,
    Existing(Fields),
    Conflict(Option<String>),
    Room,
    Full,
    Quota(usize),
}

impl FromRedisValue for Answer {
    fn from_redis_value(value: Value) -> Result<Self, ParsingError> {
        let mut parts = Vec::<Value>::from_redis_value(value)?.into_iter();
        let mut next = || parts.next().unwrap_or(Value::Nil);
        let word = String::from_redis_value(next())?;
        Ok(match word.as_str() {
            "created" => Self::Created,
            "existing" => Self::Existing(Fields::from_redis_value(next())?),
            "conflict" => Self::Conflict(Option::<String>::from_redis_value(next())?),
            "room" => Self::Room,
            "full" => Self::Full,
            "quota" => Self::Quota(usize::from_redis_value(next())?),
            other => return Err(format!("not an answer: {other}").into()),
        })
    }
}

/// Stores a new job.
pub(super) async fn job(shared: &Shared, job: NewJob) -> Result<Accepted, EngineError> {
    let nonce = token();
    let [queue_length, per_client] = bounds(shared);
    let request = job.request.to_stored();
    let generation = new_generation().to_string();
    let (server, receiver) = (job.request.source.server(), job.request.receiver());
    let args = [
        job.id.as_str(),
        &nonce,
        &queue_length,
        &per_client,
        &request,
        &job.base_url,
        &job.client,
        job.request_id.as_deref().unwrap_or_default(),
        &server,
        receiver.as_deref().unwrap_or_default(),
        &generation,
    ];
    let answer = shared.link.run(&ACCEPT, &args).await?;
    fault::point("accept-written").await;
    Ok(match answer {
        Answer::Created => Accepted::Created,
        Answer::Existing(fields) => match records::job(&fields)? {
            Some(mut known) if known.request == job.request && known.batch.is_none() => {
                shared.held.overlay(&mut known);
                Accepted::Existing(Box::new(known))
            }
            _ => Accepted::Conflict,
        },
        Answer::Conflict(_) => Accepted::Conflict,
        Answer::Room => return Err(unexpected("room")),
        Answer::Full => return Err(full(shared)),
        Answer::Quota(unfinished) => return Err(quota(shared, unfinished)),
    })
}

/// Stores a new batch with its jobs.
pub(super) async fn batch(shared: &Shared, batch: NewBatch) -> Result<AcceptedBatch, EngineError> {
    let nonce = token();
    let [queue_length, per_client] = bounds(shared);
    let fingerprint = super::secrets::hexadecimal(&batch.fingerprint());
    let generation = new_generation().to_string();
    let url = batch.callback_url.as_ref();
    let receiver = url.map(RedactedUrl::receiver);
    let jobs = batch.jobs.iter().map(|(id, request)| {
        let server = request.source.server();
        let generation = new_generation().to_string();
        (id.as_str(), request.to_stored(), server, generation)
    });
    let jobs: Vec<_> = jobs.collect();
    let mut args = vec![
        batch.id.as_str(),
        &nonce,
        &queue_length,
        &per_client,
        &fingerprint,
        &batch.base_url,
        &batch.client,
        batch.request_id.as_deref().unwrap_or_default(),
        url.map_or("", |url| url.reveal().as_str()),
        receiver.as_deref().unwrap_or_default(),
        &generation,
    ];
    for (id, request, server, generation) in &jobs {
        args.extend([id, request.as_str(), server, generation]);
    }
    Ok(match shared.link.run(&ACCEPT_BATCH, &args).await? {
        Answer::Created => AcceptedBatch::Created,
        Answer::Existing(fields) => match records::batch(&fields)? {
            Some(known) => AcceptedBatch::Existing(Box::new(known)),
            None => return Err(unexpected("existing")),
        },
        Answer::Conflict(id) => {
            let id = id.as_deref().unwrap_or_default();
            AcceptedBatch::Conflict(JobId::parse(id).map_err(unexpected)?)
        }
        Answer::Room => return Err(unexpected("room")),
        Answer::Full => return Err(full(shared)),
        Answer::Quota(unfinished) => return Err(quota(shared, unfinished)),
    })
}

/// Whether there is room for one more job of a client.
pub(super) async fn check_room(shared: &Shared, client: &str) -> Result<(), EngineError> {
    let [queue_length, per_client] = bounds(shared);
    let args = [client, &queue_length, &per_client];
    match shared.link.run(&CHECK_ROOM, &args).await {
        Ok(Answer::Full) => Err(full(shared)),
        Ok(Answer::Quota(unfinished)) => Err(quota(shared, unfinished)),
        Ok(_) => Ok(()),
        Err(error) => Err(error),
    }
}

fn bounds(shared: &Shared) -> [String; 2] {
    let bounds = &shared.bounds;
    [bounds.queue_length, bounds.jobs_per_client].map(|bound| bound.to_string())
}

fn full(shared: &Shared) -> EngineError {
    EngineError::QueueFull {
        limit: shared.bounds.queue_length,
    }
}

fn quota(shared: &Shared, unfinished: usize) -> EngineError {
    EngineError::ClientQuota {
        unfinished,
        limit: shared.bounds.jobs_per_client,
    }
}
