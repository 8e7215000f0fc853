//! Telling the receiver.

use crate::harness::{Origin, TestService};
use serde_json::{Value, json};

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

#[tokio::test]
async fn a_receiver_that_hangs_gets_few_connections() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let receiver = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}/", receiver.local_addr().unwrap());
    let connections = tokio::spawn(async move {
        let mut open = Vec::new();
        let accept = async {
            while let Ok((connection, _)) = receiver.accept().await {
                open.push(connection);
            }
        };
        // Less than a delivery takes to be given up.
        let _ = tokio::time::timeout(std::time::Duration::from_secs(3), accept).await;
        open.len()
    });
    for number in 0..60 {
        let body = json!({
            "image_url": origin.url("/disc.png"),
            "callback_url": callback,
            "job_id": format!("j{number}"),
        });
        assert_eq!(service.generate(&body).await.status, 202);
    }
    for number in 0..60 {
        service.ended(&format!("j{number}")).await;
    }
    assert_eq!(connections.await.unwrap(), 16);
}
