//! Lists of jobs.

use super::rows::{self, COLUMNS};
use crate::engine::{Filter, Page, StateFilter};
use crate::job::{Job, JobId};
use rusqlite::Connection;
use rusqlite::types::Value;

/// The jobs that a filter lets through, newest first.
pub(super) fn page(connection: &Connection, filter: &Filter) -> rusqlite::Result<Page> {
    let (sql, values) = query(filter);
    let mut found = connection
        .prepare_cached(&sql)?
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

fn query(filter: &Filter) -> (String, Vec<Value>) {
    let mut conditions = Vec::new();
    let mut values: Vec<Value> = Vec::new();
    let mut condition = |text: &str, value: Value| {
        values.push(value);
        conditions.push(format!("{text} ?{}", values.len()));
    };
    if let Some(after) = filter.after {
        condition("seq <", i64::try_from(after).unwrap_or(i64::MAX).into());
    }
    if let Some(batch) = filter.batch.as_ref().map(JobId::as_str) {
        condition("batch =", batch.to_owned().into());
    }
    // One more than is wanted tells whether there are more.
    let end = format!("ORDER BY seq DESC LIMIT {}", filter.limit.saturating_add(1));
    let select = |conditions: &[String]| {
        let filtered = match conditions {
            [] => String::new(),
            conditions => format!("WHERE {}", conditions.join(" AND ")),
        };
        format!("SELECT {COLUMNS}, seq FROM jobs {filtered} {end}")
    };
    if filter.states.is_empty() {
        return (select(&conditions), values);
    }
    // Each state is read in the order of its index, as far as needed; asked for together, all of
    // their jobs would be sorted. In one statement, so that no job is missed that changes.
    let branches = filter.states.iter().map(|state| {
        let state = format!("state = '{}'", name(*state));
        let all: Vec<_> = conditions.iter().cloned().chain([state]).collect();
        format!("SELECT * FROM ({})", select(&all))
    });
    let branches: Vec<_> = branches.collect();
    (format!("{} {end}", branches.join(" UNION ALL ")), values)
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
