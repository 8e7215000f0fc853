//! `GET …/mesh`: the jobs, newest first.

use super::Api;
use super::openapi::Id;
use super::status::JobStatus;
use crate::engine::{Filter, StateFilter};
use crate::error::ApiError;
use crate::job::JobId;
use crate::request::{Invalid, MAX_ERRORS, wrong};
use axum::Json;
use axum::extract::{RawQuery, State};
use axum::http::HeaderMap;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// Most jobs of one page, and how many there are if nothing is said.
const MAX_LIMIT: usize = 200;
const DEFAULT_LIMIT: usize = 50;

/// The words of the contract, each of which stands for two states, and the states themselves.
const STATES: [(&str, &[StateFilter]); 6] = {
    use StateFilter::{Cancelled, Completed, Failed, Queued, Running};
    [
        ("processing", &[Queued, Running]),
        ("completed", &[Completed]),
        ("failed", &[Failed, Cancelled]),
        ("queued", &[Queued]),
        ("running", &[Running]),
        ("cancelled", &[Cancelled]),
    ]
};

/// Some of the jobs.
#[derive(Serialize, ToSchema)]
pub(super) struct JobList {
    /// The jobs, newest first.
    jobs: Vec<JobStatus>,
    /// What to send as `cursor` for the jobs that follow; absent if there are none.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// Jobs, newest first; of batches their jobs.
#[utoipa::path(
    get, path = "/mesh", tag = "jobs", operation_id = "list_jobs",
    params(
        ("status" = Option<String>, Query, nullable = false,
            description = "Only jobs that stand like this; `processing` are those that are queued \
                or running, `failed` has the cancelled ones, too.",
            pattern = "^(processing|completed|failed|queued|running|cancelled)$"),
        ("batch" = Option<Id>, Query, nullable = false, description = "Only jobs of this batch."),
        ("limit" = Option<u32>, Query, nullable = false, minimum = 1, maximum = 200,
            description = "Most jobs in the answer; 50 if nothing is said."),
        ("cursor" = Option<String>, Query, nullable = false, pattern = "^[0-9a-f]{1,15}$",
            description = "Where to go on: the `next_cursor` of the answer before."),
    ),
    responses((status = 200, description = "Some of the jobs.", body = JobList)),
)]
pub(super) async fn list(
    State(api): State<Api>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Json<JobList>, ApiError> {
    let filter = read_filter(query.as_deref().unwrap_or_default())?;
    let page = api.engine.list(filter).await?;
    let base = api.result_urls.base(&headers);
    let mut jobs = Vec::with_capacity(page.jobs.len());
    for job in &page.jobs {
        jobs.push(api.job_status(job, &base).await);
    }
    Ok(Json(JobList {
        jobs,
        next_cursor: page.next.map(|place| format!("{place:x}")),
    }))
}

fn read_filter(query: &str) -> Result<Filter, Invalid> {
    let mut filter = Filter {
        limit: DEFAULT_LIMIT,
        ..Filter::default()
    };
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let refused = match seen.contains(&name) {
            true => Err("must be given once".to_owned()),
            false => set(&mut filter, &name, &value),
        };
        if let Err(reason) = refused {
            let message = format!("{name} {reason}");
            errors.push(wrong(&name, &Value::from(&*value), &message));
        }
        // More are not told anyway, and looking for repeats takes longer with each.
        if errors.len() >= MAX_ERRORS {
            break;
        }
        seen.push(name);
    }
    match errors.is_empty() {
        true => Ok(filter),
        false => Err(Invalid::new(errors)),
    }
}

fn set(filter: &mut Filter, name: &str, value: &str) -> Result<(), String> {
    match name {
        "status" => {
            let found = STATES.iter().find(|(word, _)| *word == value);
            let words = || STATES.map(|(word, _)| word).join(", ");
            let (_, states) = found.ok_or_else(|| format!("must be one of {}", words()))?;
            filter.states = states.to_vec();
        }
        "batch" => {
            let id = JobId::parse(value).map_err(|error| error.to_string())?;
            filter.batch = Some(id);
        }
        "limit" => {
            let limit = value.parse().ok().filter(|n| (1..=MAX_LIMIT).contains(n));
            let reason = || format!("must be a whole number from 1 to {MAX_LIMIT}");
            filter.limit = limit.ok_or_else(reason)?;
        }
        "cursor" => {
            // As they are written above, and no other way.
            let plain = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            let written = value.len() <= 15 && value.bytes().all(plain);
            let place = u64::from_str_radix(value, 16).ok().filter(|_| written);
            let reason = || "must be a next_cursor, as it was answered".to_owned();
            filter.after = Some(place.ok_or_else(reason)?);
        }
        _ => return Err("is unknown; there are status, batch, limit and cursor".to_owned()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_in_a_query_is_found() {
        let read = |query| read_filter(query).map_err(|invalid| invalid.0.len());
        assert_eq!(read("").map(|filter| filter.limit), Ok(DEFAULT_LIMIT));
        let filter = read("status=failed&batch=b&limit=200&cursor=1f").expect("right");
        assert_eq!(filter.states, [StateFilter::Failed, StateFilter::Cancelled]);
        assert_eq!((filter.limit, filter.after), (200, Some(31)));
        for (query, mistakes) in [
            ("status=done", 1),
            ("limit=0", 1),
            ("limit=201", 1),
            ("limit=+5x", 1),
            ("cursor=+1", 1),
            ("cursor=1F", 1),
            ("cursor=", 1),
            ("cursor=ffffffffffffffff", 1),
            ("batch=a/b", 1),
            ("limit=1&limit=1", 1),
            ("state=queued", 1),
            ("status=x&limit=x&batch=&cursor=x&page=2", 5),
        ] {
            assert_eq!(read(query).expect_err(query), mistakes, "{query}");
        }
        let names: Vec<_> = (0..16_700).map(|n| format!("{n:x}")).collect();
        assert_eq!(read(&names.join("&")).expect_err("unknown"), MAX_ERRORS);
    }
}
