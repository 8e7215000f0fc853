//! Progress as a stream of events.

use crate::harness::{Origin, TestService};
use reqwest::Response;
use serde_json::{Value, json};

/// An event: its name, id and body.
type Event = (String, String, Value);

/// The events of a response, until it ends.
struct Stream {
    response: Response,
    text: String,
}

impl Stream {
    async fn open(service: &TestService, id: &str, last: Option<&str>) -> Self {
        let request = service.request("GET", &format!("/api/v1/mesh/{id}/events"));
        let request = match last {
            Some(last) => request.header("Last-Event-ID", last),
            None => request,
        };
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["x-accel-buffering"], "no");
        let text = String::new();
        Self { response, text }
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((event, rest)) = self.text.split_once("\n\n") {
                let field = |name: &str| {
                    let mut lines = event.lines();
                    let value = lines.find_map(|line| line.strip_prefix(name));
                    value.unwrap_or_default().trim().to_owned()
                };
                let body = field("data:");
                let parsed = (field("event:"), field("id:"), body);
                self.text = rest.to_owned();
                let (name, id, body) = parsed;
                // What keeps the connection alive has no data.
                if let Ok(body) = serde_json::from_str(&body) {
                    return Some((name, id, body));
                }
                continue;
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.text.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|(_, id, _)| id.as_str()).collect()
}

const ALL: [&str; 9] = [
    "1.10", "1.20", "1.30", "1.40", "1.50", "1.70", "1.85", "1.95", "end",
];

#[tokio::test]
async fn every_step_is_told_once_and_then_the_end() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/gated.png")).await;
    let streams = [
        Stream::open(&service, "j", None).await,
        Stream::open(&service, "j", None).await,
    ];
    origin.open_gate();
    for stream in streams {
        let events = stream.rest().await;
        assert_eq!(ids(&events), ALL);
        let (name, _, body) = &events[0];
        assert_eq!(name, "progress");
        let expected = json!({ "job_id": "j", "progress": 10, "message": "Loading image..." });
        assert_eq!(*body, expected);
        let (name, _, body) = &events[8];
        assert_eq!(name, "end");
        assert_eq!(*body, service.status("j").await.body);
    }
}

/// The first job has the only place: the second is seen only when it is over.
#[tokio::test]
async fn who_comes_back_gets_what_is_missing() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/gated.png")).await;
    let mut stream = Stream::open(&service, "j", None).await;
    assert_eq!(stream.next().await.unwrap().1, "1.10");
    drop(stream);
    let resumed = Stream::open(&service, "j", Some("1.10")).await;
    origin.open_gate();
    assert_eq!(ids(&resumed.rest().await), ALL[1..]);
    for (last, expected) in [("1.50", &ALL[5..]), ("1.95", &ALL[8..])] {
        let resumed = Stream::open(&service, "j", Some(last)).await;
        assert_eq!(ids(&resumed.rest().await), expected);
    }
}

#[tokio::test]
async fn a_job_that_has_ended_sends_its_end_at_once() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("j", &origin.url("/clear.png")).await;
    service.ended("j").await;
    let events = Stream::open(&service, "j", None).await.rest().await;
    assert_eq!(ids(&events), ["end"]);
    assert_eq!(events[0].2["error"]["code"], "CONTOUR_EXTRACTION_FAILED");
    // It failed in a step, and the later ones were never made.
    let events = Stream::open(&service, "j", Some("1.20")).await.rest().await;
    assert_eq!(ids(&events), ["1.30", "1.40", "end"]);
    let request = service.request("GET", "/api/v1/mesh/j/events");
    let answer = service.send(request.header("Last-Event-ID", "end")).await;
    assert_eq!(answer.status, 204);
    assert_eq!(service.get("/api/v1/mesh/k/events").await.status, 404);
}

#[tokio::test]
async fn a_cached_mesh_is_told_of_without_steps_that_were_not_made() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("first", &origin.url("/disc.png")).await;
    service.ended("first").await;
    service.accept("second", &origin.url("/gated.png")).await;
    let stream = Stream::open(&service, "second", None).await;
    origin.open_gate();
    assert_eq!(ids(&stream.rest().await), ["1.10", "end"]);
}

#[tokio::test]
async fn a_stream_ends_when_its_job_is_cancelled_or_the_service_stops() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    for id in ["cancelled", "left"] {
        service.accept(id, &origin.url("/hang.png")).await;
        service.running(id).await;
    }
    let cancelled = Stream::open(&service, "cancelled", None).await;
    let path = "/api/v1/mesh/cancelled/cancel";
    service.send(service.request("POST", path)).await;
    assert_eq!(ids(&cancelled.rest().await), ["1.10", "end"]);
    let left = Stream::open(&service, "left", None).await;
    let stopping = tokio::spawn(service.stop());
    assert_eq!(ids(&left.rest().await), ["1.10"]);
    stopping.abort();
}

#[tokio::test]
async fn streams_and_held_answers_leave_connections_for_the_others() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| s.max_connections = 20.try_into().unwrap()).await;
    service.accept("j", &origin.url("/hang.png")).await;
    let mut streams = Vec::new();
    for _ in 0..5 {
        streams.push(Stream::open(&service, "j", None).await);
    }
    // Of ten that may be held a client has half.
    let refused = service.get("/api/v1/mesh/j/events").await;
    assert_eq!(
        (refused.status, refused.code()),
        (429, "TOO_MANY_STREAMS_OF_CLIENT")
    );
    assert!(refused.headers.contains_key("retry-after"));
    let request = service
        .request("POST", "/api/v1/mesh/generate?wait=60")
        .body(json!({ "image_url": origin.url("/hang.png"), "job_id": "k" }).to_string());
    let answer = service.send(request).await;
    assert_eq!(
        (answer.status, &answer.body["status"]),
        (202, &json!("processing"))
    );
    assert_eq!(service.get("/health/live").await.status, 200);
    assert_eq!(service.status("j").await.status, 200);

    streams.pop();
    crate::harness::eventually("a place is given back", || async {
        let request = service.request("GET", "/api/v1/mesh/j/events");
        (request.send().await.unwrap().status() == 200).then_some(())
    })
    .await;
    // What has ended takes none.
    service
        .send(service.request("POST", "/api/v1/mesh/k/cancel"))
        .await;
    assert_eq!(
        ids(&Stream::open(&service, "k", None).await.rest().await),
        ["end"]
    );
}
