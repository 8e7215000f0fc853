//! `GET …/mesh/{job_id}/events`: the progress of a job as it is made, as server-sent events.

use super::held::Holding;
use super::openapi::EventMessage;
use super::{Api, Named};
use crate::client::Client;
use crate::engine::Watch;
use crate::error::ApiError;
use crate::job::{Batch, Counts, Job, JobId, JobState, Progress};
use axum::extract::{Extension, Path, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::{self, Stream};
use serde::Serialize;
use spinelift_mesh::Step;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::time::Duration;

/// The header by which a client says what it received last.
pub(crate) const LAST_EVENT_ID: &str = "last-event-id";

/// Time after which something is sent, so that nobody in between thinks the connection dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Proxies must pass events on as they come; nginx does not unless it is told so.
const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The id of the last event of a stream.
const END: &str = "end";

/// Progress of a job as `progress` events, `{"job_id", "progress", "message"}` each (and `counts`,
/// of a batch), and in the end its status as the event `end`. A job that has ended sends `end` at
/// once. The stream also closes when the service shuts down: who connects again with the
/// `Last-Event-ID` goes on where it ended, and who has received `end` is answered with 204.
#[utoipa::path(
    get, path = "/mesh/{job_id}/events", tag = "jobs", operation_id = "watch_job",
    params(("Last-Event-ID" = Option<String>, Header, nullable = false,
        description = "The id of the event that was received last.")),
    responses(
        (status = 200, description = "The events.", body = EventMessage,
            content_type = "text/event-stream"),
        (status = 204, description = "All events were received."),
    ),
)]
pub(super) async fn events(
    State(api): State<Api>,
    Path(id): Path<String>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let named = api.named(&id).await?;
    let last = headers.get(LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let (id, has_ended) = match &named {
        Named::Job(job) => (job.id.clone(), job.state.is_final()),
        Named::Batch(batch) => (batch.id.clone(), batch.finished_at.is_some()),
    };
    if has_ended && last == Some(END) {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    // What has ended is told at once.
    let place = match has_ended {
        true => None,
        false => Some(api.held.enter(&client.to_string())?),
    };
    let follower = Follower {
        _place: place,
        watch: api.engine.watch(&id),
        base: api.result_urls.base(&headers),
        sent: last.and_then(Place::parse),
        // What went before the client came is none of its business, unless it came before.
        skips_to_end: has_ended,
        ready: VecDeque::new(),
        is_over: false,
        api,
        id,
    };
    let events = Sse::new(follower.events()).keep_alive(KeepAlive::new().interval(KEEP_ALIVE));
    let header = [(ACCEL_BUFFERING, HeaderValue::from_static("no"))];
    Ok((header, events).into_response())
}

/// Where in the course of a job an event is: the number of the attempt and the progress in
/// percent; of a batch, 0 and the number of jobs that have ended. Its text is the event's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place(u32, u32);

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let (attempt, percent) = text.split_once('.')?;
        Some(Self(attempt.parse().ok()?, percent.parse().ok()?))
    }
}

/// The body of a `progress` event.
#[derive(Serialize)]
struct ProgressBody<'a> {
    job_id: &'a str,
    progress: u8,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    counts: Option<Counts>,
}

/// Follows a job or batch for one client. It looks only when the client has taken what there was,
/// so it never holds more than the steps of one job.
struct Follower {
    _place: Option<Holding>,
    api: Api,
    id: JobId,
    base: String,
    watch: Watch,
    sent: Option<Place>,
    skips_to_end: bool,
    ready: VecDeque<Event>,
    is_over: bool,
}

impl Follower {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, async |mut follower| {
            let event = follower.next().await?;
            Some((Ok(event), follower))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            if self.is_over || self.api.draining.is_cancelled() {
                return None;
            }
            self.look().await;
            if self.ready.is_empty() && !self.is_over {
                tokio::select! {
                    () = self.watch.changed() => {}
                    () = self.api.draining.cancelled() => self.is_over = true,
                }
            }
        }
    }

    /// Makes ready what has happened since the last look.
    async fn look(&mut self) {
        // Looked up before the job is: what ends in between is seen as ended, with all its steps.
        let running = self.api.engine.progress(&self.id).await.unwrap_or_default();
        match self.api.find(&self.id).await {
            Ok(Some(Named::Job(job))) if job.state.is_final() => {
                if self.sent.is_some() || !self.skips_to_end {
                    self.tell(job.attempts, &steps_of(&job));
                }
                self.end(&Named::Job(job)).await;
            }
            Ok(Some(Named::Job(_))) => {
                if let Some((attempt, progress)) = running {
                    self.tell(attempt, &progress);
                }
            }
            Ok(Some(Named::Batch(batch))) => self.look_at_batch(*batch).await,
            // Deleted meanwhile.
            Ok(None) => self.is_over = true,
            Err(error) => {
                tracing::warn!(job_id = %self.id, ?error, "a job can be followed no longer");
                self.is_over = true;
            }
        }
    }

    async fn look_at_batch(&mut self, batch: Batch) {
        if batch.finished_at.is_none() {
            let place = Place(0, batch.counts.ended());
            self.push(place, &batch.progress(), Some(batch.counts));
        } else {
            self.end(&Named::Batch(batch.into())).await;
        }
    }

    fn tell(&mut self, attempt: u32, progress: &[Progress]) {
        for progress in progress {
            let place = Place(attempt, progress.percent.into());
            self.push(place, progress, None);
        }
    }

    fn push(&mut self, place: Place, progress: &Progress, counts: Option<Counts>) {
        if self.sent.is_some_and(|sent| place <= sent) {
            return;
        }
        self.sent = Some(place);
        let body = ProgressBody {
            job_id: self.id.as_str(),
            progress: progress.percent,
            message: &progress.message,
            counts,
        };
        let id = format!("{}.{}", place.0, place.1);
        self.ready.extend(event("progress", &id, &body));
    }

    async fn end(&mut self, named: &Named) {
        let body = self.api.status_body(named, &self.base).await;
        self.ready.extend(event("end", END, &body));
        self.is_over = true;
    }
}

/// The steps that the last attempt at a job that has ended has made. They follow from its end, so
/// nobody has to remember them: they are made one after the other.
fn steps_of(job: &Job) -> Vec<Progress> {
    let last = match job.state {
        // Of a mesh that was there only the image was loaded.
        JobState::Completed if job.cached => Step::LoadImage.percent(),
        _ => job.progress.percent,
    };
    let steps = Step::ALL.into_iter().filter(|step| *step != Step::Finalize);
    let made = steps.filter(|step| step.percent() <= last);
    made.map(Progress::from).collect()
}

fn event(name: &str, id: &str, body: &impl Serialize) -> Option<Event> {
    let event = Event::default().event(name).id(id).json_data(body);
    // Strings and numbers always serialize.
    event.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_in_the_order_of_events() {
        let place = |text| Place::parse(text).expect(text);
        assert!(place("1.10") < place("1.20"));
        assert!(place("1.95") < place("2.10"));
        for bad in ["", "end", "1", "1.", ".1", "1.2.3", "-1.2"] {
            assert_eq!(Place::parse(bad), None, "{bad}");
        }
    }
}
