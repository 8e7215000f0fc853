//! How attempts at jobs end.

use super::scripts::{FINISH, RELEASE};
use super::{Shared, token};
use crate::engine::{Claim, EngineError, Fenced, Outcome, StoredResult};
use crate::job::JobId;

/// Ends an attempt that is held here, and its job.
pub(super) async fn finish(
    shared: &Shared,
    claim: &Claim,
    outcome: &Outcome,
) -> Result<Fenced, EngineError> {
    let Some(token) = shared.held.token(claim) else {
        return Ok(Fenced::Superseded);
    };
    let fenced = end(shared, &claim.job.id, &token, outcome).await?;
    if fenced != Fenced::ResultGone {
        shared.held.end(claim);
    }
    Ok(fenced)
}

/// Ends an attempt, by its token.
pub(super) async fn end(
    shared: &Shared,
    id: &JobId,
    attempt: &str,
    outcome: &Outcome,
) -> Result<Fenced, EngineError> {
    let (stamp, hold, lease) = (token(), shared.deliveries.hold(), shared.lease_text());
    let mut args = vec![id.as_str(), attempt, &stamp, &hold, &lease];
    let (number, text);
    match outcome {
        Outcome::Completed(StoredResult::New { key, object, bytes }) => {
            number = bytes.to_string();
            args.extend(["made", object.as_str(), key.as_str(), &number]);
        }
        Outcome::Completed(StoredResult::Cached(object)) => {
            args.extend(["cached", object.as_str()]);
        }
        Outcome::Failed { error, percent } => {
            number = percent.to_string();
            text = serde_json::to_string(error).map_err(|error| EngineError::Damaged {
                reason: error.to_string(),
            })?;
            args.extend(["failed", &number, &text]);
        }
    }
    let answer: Vec<String> = shared.link.run(&FINISH, &args).await?;
    if let [_, delivery, receiver] = &answer[..] {
        shared.deliveries.add(delivery, receiver, hold.clone());
    }
    fenced(answer.first().map_or("", String::as_str))
}

/// Gives a job back as if the attempt had never been made.
pub(super) async fn release(shared: &Shared, claim: &Claim) -> Result<Fenced, EngineError> {
    let Some(token) = shared.held.token(claim) else {
        return Ok(Fenced::Superseded);
    };
    let fenced = give_back(shared, &claim.job.id, &token).await?;
    shared.held.end(claim);
    Ok(fenced)
}

/// Gives a job back, by the token of its attempt.
pub(super) async fn give_back(
    shared: &Shared,
    id: &JobId,
    token: &str,
) -> Result<Fenced, EngineError> {
    let answer: String = shared.link.run(&RELEASE, &[id.as_str(), token]).await?;
    fenced(&answer)
}

fn fenced(answer: &str) -> Result<Fenced, EngineError> {
    match answer {
        "recorded" => Ok(Fenced::Recorded),
        "superseded" => Ok(Fenced::Superseded),
        "gone" => Ok(Fenced::ResultGone),
        other => Err(super::unexpected(other)),
    }
}
