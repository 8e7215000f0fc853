//! Lists of jobs.

use super::rows::{self, COLUMNS};
use crate::engine::{Filter, Page, StateFilter};
use crate::job::{Job, JobId};
use rusqlite::Connection;
use rusqlite::types::Value;

/// The jobs that a filter lets through, newest first.
pub(super) fn page(connection: &Connection, filter: &Filter) -> rusqlite::Result<Page> {
    let mut conditions = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut condition = |text: &str, value: Value| {
        values.push(value);
        conditions.push(format!("{text} ?{}", values.len()));
    };
    if let Some(after) = filter.after {
        condition("seq <", i64::try_from(after).unwrap_or(i64::MAX).into());
    }
    if let Some(state) = filter.state {
        condition("state =", name(state).to_owned().into());
    }
    if let Some(batch) = filter.batch.as_ref().map(JobId::as_str) {
        condition("batch =", batch.to_owned().into());
    }
    let filtered = match conditions.as_slice() {
        [] => String::new(),
        conditions => format!("WHERE {}", conditions.join(" AND ")),
    };
    // One more than is wanted tells whether there are more.
    let limit = filter.limit.saturating_add(1);
    let mut found = connection
        .prepare_cached(&format!(
            "SELECT {COLUMNS}, seq FROM jobs {filtered} ORDER BY seq DESC LIMIT {limit}"
        ))?
        .query_map(rusqlite::params_from_iter(values), |row| {
            Ok((rows::job(row)?, row.get("seq")?))
        })?
        .collect::<rusqlite::Result<Vec<(Job, u64)>>>()?;
    let more = found.len() > filter.limit;
    found.truncate(filter.limit);
    Ok(Page {
        next: found.last().map(|(_, seq)| *seq).filter(|_| more),
        jobs: found.into_iter().map(|(job, _)| job).collect(),
    })
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
