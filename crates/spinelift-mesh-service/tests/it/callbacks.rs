//! Telling the receiver.

use crate::harness::{Origin, Received, Receiver, TestService, eventually};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use serde_json::{Value, json};
use spinelift_mesh_service::engine::sqlite::{Bounds, SqliteEngine};
use spinelift_mesh_service::engine::{AcceptedBatch, JobEngine, NewBatch};
use spinelift_mesh_service::job::{JobId, JobRequest, Source};
use spinelift_mesh_service::{RedactedUrl, WebhookSecrets};
use standardwebhooks::Webhook;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::Semaphore;

const PERCENTAGES: [u64; 9] = [10, 20, 30, 40, 50, 70, 85, 95, 100];
const MESSAGES: [&str; 9] = [
    "Loading image...",
    "Creating mask...",
    "Processing contours...",
    "Finding main contour...",
    "Simplifying contour...",
    "Triangulating mesh...",
    "Generating UV coordinates...",
    "Calculating edges...",
    "Mesh generation complete",
];

fn percentages(events: &[Value]) -> Vec<u64> {
    events
        .iter()
        .map(|event| event["progress"].as_u64().unwrap())
        .collect()
}

async fn submit(service: &TestService, image: &str, callback: &str) {
    let body = json!({ "image_url": image, "callback_url": callback, "job_id": "j" });
    assert_eq!(service.generate(&body).await.status, 202);
}

#[tokio::test]
async fn the_nine_steps_arrive_in_order_and_the_last_after_the_result() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    submit(&service, &origin.url("/disc.png"), &origin.url("/callback")).await;
    let events = origin.events("j").await;
    assert_eq!(percentages(&events), PERCENTAGES);
    for (event, message) in events.iter().zip(MESSAGES) {
        assert_eq!(event["job_id"], "j");
        assert_eq!(event["message"], message);
        // 2025-01-08T10:00:00.123456, as Python writes it.
        let time = event["timestamp"].as_str().unwrap();
        let shape: String = time
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert!(
            ["0000-00-00T00:00:00.000000", "0000-00-00T00:00:00"].contains(&shape.as_str()),
            "{time}"
        );
    }
    let (last, others) = events.split_last().unwrap();
    for event in others {
        assert_eq!(event.as_object().unwrap().len(), 4, "{event}");
    }
    assert_eq!(last["status"], "completed");
    assert_eq!(
        last["result_url"],
        format!("{}/api/v1/mesh/j/result", service.base)
    );
    assert!(last.get("error").is_none());
    // The receiver fetched the result before it answered.
    assert_eq!(origin.results_seen(), [200]);
    assert!(
        origin
            .agents()
            .iter()
            .all(|agent| agent == "spinelift-mesh/1.0.0")
    );
}

#[tokio::test]
async fn a_failure_is_told_with_the_progress_made() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    submit(
        &service,
        &origin.url("/missing.png"),
        &origin.url("/callback"),
    )
    .await;
    let events = origin.events("j").await;
    assert_eq!(percentages(&events), [10, 10]);
    assert_eq!(events[1]["status"], "failed");
    assert_eq!(events[1]["error"]["code"], "IMAGE_LOAD_FAILED");
    assert_eq!(events[1]["error"]["details"]["status"], 404);
    assert_eq!(service.status("j").await.body["error"], events[1]["error"]);
}

#[tokio::test]
async fn a_slow_receiver_delays_nothing_and_still_gets_the_last_event() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    submit(
        &service,
        &origin.url("/disc.png"),
        &origin.url("/callback/hangs-first"),
    )
    .await;
    // The receiver will not have answered the first event by then: it never does.
    assert_eq!(service.ended("j").await["status"], "completed");
    assert_eq!(
        origin.agents().len(),
        0,
        "no event had been taken when the job was complete"
    );
    // What was overtaken while the receiver did not answer is skipped.
    assert_eq!(percentages(&origin.events("j").await), [100]);
}

#[tokio::test]
async fn a_receiver_that_cannot_be_reached_harms_no_job() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    // A port that was free a moment ago.
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    submit(
        &service,
        &origin.url("/disc.png"),
        &format!("http://{closed}/"),
    )
    .await;
    assert_eq!(service.ended("j").await["status"], "completed");
    // The attempts to deliver end by themselves: the shutdown waits for them.
    service.stop().await;
}

#[tokio::test]
async fn redirects_of_callbacks_are_not_followed() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    submit(
        &service,
        &origin.url("/disc.png"),
        &origin.url("/callback/redirects"),
    )
    .await;
    assert_eq!(service.ended("j").await["status"], "completed");
    service.stop().await;
    assert!(origin.hits("/callback/redirects") > 0);
    assert_eq!(origin.agents().len(), 0);
}

#[tokio::test]
async fn a_shutdown_waits_for_the_last_event() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    submit(&service, &origin.url("/disc.png"), &origin.url("/callback")).await;
    service.ended("j").await;
    service.stop().await;
    assert_eq!(percentages(&origin.events("j").await), PERCENTAGES);
}

/// It answers once and hangs from then on, for longer than the test.
#[tokio::test]
async fn a_receiver_that_hangs_gets_few_connections() {
    let hour = Duration::from_secs(60 * 60);
    let service = TestService::start_with(|s| s.callback_timeout = hour).await;
    let (origin, prompt) = (Origin::start().await, receiver().await);
    let asked = Arc::new(AtomicUsize::new(0));
    let all = Arc::clone(&asked);
    let hangs = Receiver::start_at("127.0.0.1:0".parse().unwrap(), move |_| {
        let first = all.fetch_add(1, Ordering::SeqCst) == 0;
        async move {
            if !first {
                std::future::pending::<()>().await;
            }
            StatusCode::OK.into_response()
        }
    })
    .await;
    let post = async |id: &str, callback_url: &str| {
        let body = json!({
            "image_url": origin.url("/disc.png"),
            "callback_url": callback_url,
            "job_id": id,
        });
        assert_eq!(service.generate(&body).await.status, 202);
        service.ended(id).await;
    };
    for number in 0..60 {
        post(&format!("j{number}"), &hangs.url()).await;
    }
    let hanging = || asked.load(Ordering::SeqCst) - 1;
    eventually("all that it may have hang", || async {
        (hanging() >= 16).then_some(())
    })
    .await;
    // What could be told to the one could be told to the other before.
    post("other", &prompt.url()).await;
    prompt.told(1).await;
    assert_eq!(hanging(), 16);
}

/// Takes everything.
async fn receiver() -> Receiver {
    Receiver::start(|_| async { StatusCode::OK.into_response() }).await
}

#[tokio::test]
async fn every_callback_is_signed_with_each_secret() {
    const OLD: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const NEW: &str = "whsec_c29tZSBzZWNyZXQgb2YgdGhpcnR5LXR3byBieXRlcyE=";
    let secrets = WebhookSecrets::parse(&format!("{OLD},{NEW}")).unwrap();
    let service = TestService::start_with(|s| s.webhook_secrets = secrets).await;
    let (receiver, origin) = (receiver().await, Origin::start().await);
    submit(&service, &origin.url("/disc.png"), &receiver.url()).await;
    receiver.told(1).await;
    let received = receiver.received();
    assert_eq!(received.len(), PERCENTAGES.len());
    for Received { headers, body, .. } in received {
        assert_eq!(
            headers["webhook-signature"]
                .to_str()
                .unwrap()
                .split(' ')
                .count(),
            2
        );
        for secret in [OLD, NEW] {
            Webhook::new(secret)
                .unwrap()
                .verify(&body, &headers)
                .unwrap();
        }
        let changed = [&body[..], b" "].concat();
        assert!(
            Webhook::new(NEW)
                .unwrap()
                .verify(&changed, &headers)
                .is_err()
        );
        let mut other = headers.clone();
        other.insert("webhook-id", "msg_other".parse().unwrap());
        assert!(Webhook::new(NEW).unwrap().verify(&body, &other).is_err());
        let stranger = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        assert!(
            Webhook::new(stranger)
                .unwrap()
                .verify(&body, &headers)
                .is_err()
        );
    }
}

#[tokio::test]
async fn without_secrets_callbacks_have_ids_and_times_but_no_signature() {
    let service = TestService::start().await;
    let (receiver, origin) = (receiver().await, Origin::start().await);
    let before = chrono::Utc::now().timestamp();
    submit(&service, &origin.url("/disc.png"), &receiver.url()).await;
    receiver.told(1).await;
    let now = chrono::Utc::now().timestamp();
    for received in receiver.received() {
        assert!(received.id().starts_with("msg_"));
        let time: i64 = received.header("webhook-timestamp").parse().unwrap();
        assert!((before..=now).contains(&time));
        assert!(!received.headers.contains_key("webhook-signature"));
    }
}

/// Answers all progress when it has been told to, and then a while later; whether any was still
/// unanswered when an end came.
async fn slow(gate: Arc<Semaphore>) -> (Receiver, Arc<AtomicBool>) {
    let overtaken = Arc::new(AtomicBool::new(false));
    let (answered, note) = (Arc::new(AtomicBool::new(true)), Arc::clone(&overtaken));
    let address = "127.0.0.1:0".parse().unwrap();
    let receiver = Receiver::start_at(address, move |received| {
        let (gate, answered, note) = (gate.clone(), answered.clone(), note.clone());
        async move {
            if received.is_end() {
                note.fetch_or(!answered.load(Ordering::SeqCst), Ordering::SeqCst);
            } else {
                answered.store(false, Ordering::SeqCst);
                drop(gate.acquire().await.unwrap());
                tokio::time::sleep(Duration::from_millis(300)).await;
                answered.store(true, Ordering::SeqCst);
            }
            StatusCode::OK.into_response()
        }
    });
    (receiver.await, overtaken)
}

#[tokio::test]
async fn the_end_of_a_job_never_overtakes_its_progress() {
    let gate = Arc::new(Semaphore::new(0));
    let (receiver, overtaken) = slow(Arc::clone(&gate)).await;
    let (service, origin) = (TestService::start().await, Origin::start().await);
    submit(&service, &origin.url("/disc.png"), &receiver.url()).await;
    service.ended("j").await;
    gate.add_permits(1);
    receiver.told(1).await;
    assert!(!overtaken.load(Ordering::SeqCst));
    assert!(receiver.received().last().unwrap().is_end());
}

/// Leaves a batch behind in a database: one job for each image, named `b-0` and so on.
async fn leave_batch(directory: &Path, origin: &Origin, images: &[&str], callback: &str) {
    let bounds = Bounds {
        jobs_per_client: 1000,
        lanes: 16,
        client_lanes: 16,
        delivery_lanes: 16,
        queue_length: 10,
        attempts: 3,
    };
    let engine = SqliteEngine::open(&directory.join("jobs.db"), bounds)
        .unwrap()
        .engine;
    let url = |text: &str| RedactedUrl::new(text.parse().unwrap());
    let job = |(number, image): (usize, &&str)| {
        let request = JobRequest {
            source: Source::Url(url(&origin.url(image))),
            parameters: spinelift_mesh::MeshParameters::default(),
            callback_url: None,
        };
        (JobId::parse(&format!("b-{number}")).unwrap(), request)
    };
    let batch = NewBatch {
        id: JobId::parse("b").unwrap(),
        jobs: images.iter().enumerate().map(job).collect(),
        callback_url: Some(url(callback)),
        base_url: "http://127.0.0.1:1".into(),
        client: String::new(),
        request_id: None,
    };
    let accepted = engine.accept_batch(batch).await;
    assert_eq!(accepted, Ok(AcceptedBatch::Created));
}

#[tokio::test]
async fn the_receiver_of_a_batch_hears_how_many_jobs_have_ended_and_then_of_its_end() {
    let (receiver, origin) = (receiver().await, Origin::start().await);
    let directory = Arc::new(TempDir::new().unwrap());
    let images = ["/disc.png", "/missing.png", "/gated.png"];
    leave_batch(directory.path(), &origin, &images, &receiver.url()).await;
    let service = TestService::start_in(directory, |_| {}).await;
    let ended = |event: &Value| {
        let count = |name: &str| event["counts"][name].as_u64().unwrap();
        count("completed") + count("failed")
    };
    // Of the first job it may not hear, if the second ends as soon.
    let of_two = eventually("two jobs have ended", || async {
        let last = receiver.received().pop()?;
        (ended(&last.event) == 2).then_some(last.event)
    })
    .await;
    assert_eq!(of_two["job_id"], "b");
    assert_eq!(of_two["progress"], 66);
    assert_eq!(of_two["message"], "2 of 3 images done, 1 failed");
    assert_eq!(
        of_two["counts"],
        json!({ "total": 3, "completed": 1, "failed": 1 })
    );
    origin.open_gate();
    let end = receiver.told(1).await[0].event.clone();
    assert_eq!(
        (&end["status"], &end["progress"]),
        (&json!("completed"), &json!(100))
    );
    assert_eq!(
        end["counts"],
        json!({ "total": 3, "completed": 2, "failed": 1 })
    );
    let told: Vec<_> = receiver
        .received()
        .iter()
        .map(|one| ended(&one.event))
        .collect();
    assert!(told.is_sorted_by(|one, next| one < next), "{told:?}");
    // Its deliveries are listed as those of jobs are.
    let listed = service.get("/api/v1/mesh/b/deliveries").await;
    assert_eq!(listed.body["deliveries"][0]["id"], receiver.ends()[0].id());
}

#[tokio::test]
async fn the_end_of_a_batch_never_overtakes_its_progress() {
    let gate = Arc::new(Semaphore::new(0));
    let (receiver, overtaken) = slow(Arc::clone(&gate)).await;
    let origin = Origin::start().await;
    let directory = Arc::new(TempDir::new().unwrap());
    let images = ["/disc.png", "/gated.png"];
    leave_batch(directory.path(), &origin, &images, &receiver.url()).await;
    let service = TestService::start_in(directory, |_| {}).await;
    eventually("progress is told", || async { receiver.received().pop() }).await;
    origin.open_gate();
    for id in ["b-0", "b-1"] {
        service.ended(id).await;
    }
    gate.add_permits(1);
    receiver.told(1).await;
    assert!(!overtaken.load(Ordering::SeqCst));
}
