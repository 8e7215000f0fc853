//! Looking jobs and batches up.

use super::records::{self, Fields};
use super::scripts::{BACKLOG, PAGE, RECORD};
use super::{Shared, unexpected};
use crate::engine::{Backlog, EngineError, Filter, Page, StateFilter};
use crate::job::{Batch, Job, JobId, JobState, Progress};
use std::time::Duration;

/// The job of that name.
pub(super) async fn job(shared: &Shared, id: &JobId) -> Result<Option<Job>, EngineError> {
    let fields: Fields = record(shared, "job", id).await?;
    let mut job = records::job(&fields)?;
    if let Some(job) = &mut job {
        shared.held.overlay(job);
    }
    Ok(job)
}

/// The batch of that name.
pub(super) async fn batch(shared: &Shared, id: &JobId) -> Result<Option<Batch>, EngineError> {
    records::batch(&record(shared, "batch", id).await?)
}

async fn record(shared: &Shared, kind: &str, id: &JobId) -> Result<Fields, EngineError> {
    shared.link.run(&RECORD, &[&format!("{kind}:{id}")]).await
}

/// The jobs that a filter lets through, newest first.
pub(super) async fn page(shared: &Shared, filter: &Filter) -> Result<Page, EngineError> {
    let after = filter.after.map(|after| after.to_string());
    let limit = filter.limit.to_string();
    let mut args = vec![
        after.as_deref().unwrap_or_default(),
        &limit,
        filter.batch.as_ref().map_or("", JobId::as_str),
    ];
    args.extend(filter.states.iter().map(|state| name(*state)));
    let mut found: Vec<(u64, Fields)> = shared.link.run(&PAGE, &args).await?;
    let more = found.len() > filter.limit;
    found.truncate(filter.limit);
    let next = found.last().map(|(seq, _)| *seq).filter(|_| more);
    let mut jobs = Vec::with_capacity(found.len());
    for (_, fields) in &found {
        if let Some(mut job) = records::job(fields)? {
            shared.held.overlay(&mut job);
            jobs.push(job);
        }
    }
    Ok(Page { jobs, next })
}

fn name(state: StateFilter) -> &'static str {
    match state {
        StateFilter::Queued => "queued",
        StateFilter::Running => "running",
        StateFilter::Completed => "completed",
        StateFilter::Failed => "failed",
        StateFilter::Cancelled => "cancelled",
    }
}

/// All progress of the job's current attempt, wherever it runs.
pub(super) async fn progress(
    shared: &Shared,
    id: &JobId,
) -> Result<Option<(u32, Vec<Progress>)>, EngineError> {
    if let Some(own) = shared.held.live.progress(id) {
        return Ok(Some(own));
    }
    let running = job(shared, id).await?;
    let running = running.filter(|job| job.state == JobState::Running);
    Ok(running.map(|job| (job.attempts, records::steps_to(job.progress.percent))))
}

/// How many jobs wait.
pub(super) async fn backlog(shared: &Shared) -> Result<Backlog, EngineError> {
    let answer: Vec<u64> = shared.link.run(&BACKLOG, &[]).await?;
    let [waiting, age] = answer[..] else {
        return Err(unexpected("backlog"));
    };
    Ok(Backlog {
        waiting: usize::try_from(waiting).unwrap_or(usize::MAX),
        oldest: Duration::from_millis(age),
    })
}
