//! The ends of jobs: told until they are taken, whatever receivers and processes do.

use crate::harness::{Origin, Received, Receiver, TestService, eventually, settings};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use spinelift_mesh_service::{AllowedHost, Service, Settings};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Without the pauses that real receivers need.
fn quick(settings: &mut Settings) {
    settings.callback_backoff = Duration::from_millis(10);
}

fn quick_and_few(settings: &mut Settings) {
    quick(settings);
    settings.callback_tries = 2.try_into().unwrap();
}

/// Fails so many times, and then takes everything.
async fn fails(times: usize) -> Receiver {
    Receiver::start(move |received| async move { answer(received.attempt <= times) }).await
}

/// Fails until it is up.
async fn down() -> (Receiver, Arc<AtomicBool>) {
    let up = Arc::new(AtomicBool::new(false));
    let is_up = Arc::clone(&up);
    let receiver = Receiver::start(move |_| {
        let fails = !is_up.load(Ordering::SeqCst);
        async move { answer(fails) }
    });
    (receiver.await, up)
}

fn answer(fails: bool) -> Response {
    match fails {
        true => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        false => StatusCode::OK.into_response(),
    }
}

#[tokio::test]
async fn what_is_to_be_told_of_a_deleted_job_is_not_told_of_the_next_of_its_name() {
    let gate = Arc::new(Semaphore::new(0));
    let receiver = {
        let gate = Arc::clone(&gate);
        Receiver::start_at("127.0.0.1:0".parse().unwrap(), move |received| {
            let gate = Arc::clone(&gate);
            async move {
                if !received.is_end() {
                    gate.acquire().await.unwrap().forget();
                }
                answer(false)
            }
        })
        .await
    };
    let origin = Origin::start().await;
    let service = TestService::start_with(|settings| {
        settings.callback_timeout = Duration::from_secs(60);
    })
    .await;
    let job = |path: &str| {
        json!({
            "image_url": origin.url(path), "callback_url": receiver.url(), "job_id": "a",
        })
    };
    assert_eq!(service.generate(&job("/disc.png")).await.status, 202);
    assert_eq!(service.ended("a").await["status"], "completed");
    eventually("the end waits for the progress to be told", || async {
        let request = service.request("GET", "/metrics").send().await.unwrap();
        let metrics = request.text().await.unwrap();
        metrics
            .contains("\nspinelift_callbacks_undelivered 0\n")
            .then_some(())
    })
    .await;
    let deleted = service.request("DELETE", "/api/v1/mesh/a");
    assert_eq!(service.send(deleted).await.status, 204);
    assert_eq!(service.generate(&job("/gated.png")).await.status, 202);
    service.running("a").await;
    gate.add_permits(1000);
    origin.open_gate();
    assert_eq!(service.ended("a").await["status"], "completed");
    let told = receiver.told(1).await;
    let statuses: Vec<_> = told.iter().map(|end| &end.event["status"]).collect();
    assert_eq!(statuses, ["completed"], "{told:?}");
}

async fn submit(service: &TestService, id: &str, callback: &str) {
    let origin = Origin::start().await;
    let image = origin.url("/disc.png");
    let body = json!({ "image_url": image, "callback_url": callback, "job_id": id });
    assert_eq!(service.generate(&body).await.status, 202);
    assert_eq!(service.ended(id).await["status"], "completed");
}

/// The only delivery of a job, once `is_so`.
async fn delivery(service: &TestService, id: &str, is_so: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("the delivery of {id} is as expected"), || async {
        let answer = service.get(&format!("/api/v1/mesh/{id}/deliveries")).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(answer.body["job_id"], id);
        let deliveries = answer.body["deliveries"].as_array().unwrap().clone();
        assert_eq!(deliveries.len(), 1, "{deliveries:?}");
        is_so(&deliveries[0]).then(|| deliveries[0].clone())
    })
    .await
}

fn attempted(delivery: &Value) -> bool {
    !delivery["log"].as_array().unwrap().is_empty()
}

fn settled(delivery: &Value) -> bool {
    delivery["status"] != "pending"
}

fn statuses(delivery: &Value) -> Vec<Option<u64>> {
    let log = delivery["log"].as_array().unwrap().iter();
    log.map(|attempt| attempt["http_status"].as_u64()).collect()
}

fn time(value: &Value) -> DateTime<Utc> {
    value.as_str().unwrap().parse().unwrap()
}

async fn replay(service: &TestService, id: &str, delivery: &str) -> crate::harness::Answer {
    let path = format!("/api/v1/mesh/{id}/deliveries/{delivery}/replay");
    service.send(service.request("POST", &path)).await
}

#[tokio::test]
async fn an_end_is_told_until_it_is_taken_and_always_under_the_same_id() {
    let (service, receiver) = (TestService::start_with(quick).await, fails(2).await);
    submit(&service, "j", &receiver.url()).await;
    let delivery = delivery(&service, "j", settled).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(delivery["attempts"], 3);
    assert_eq!(delivery["next_attempt_at"], Value::Null);
    assert_eq!(statuses(&delivery), [Some(500), Some(500), Some(200)]);
    assert_eq!(delivery["log"][0]["error"], "HTTP status 500");
    assert_eq!(delivery["log"][2]["error"], Value::Null);
    assert!(time(&delivery["log"][0]["at"]) >= time(&delivery["created_at"]));
    let ends = receiver.ends();
    assert_eq!(ends.len(), 3);
    for end in &ends {
        assert_eq!(end.id(), delivery["id"]);
        assert_eq!(end.body, ends[0].body);
    }
    // Each step is told once, under an id of its own.
    let mut ids: Vec<_> = receiver
        .received()
        .iter()
        .map(|one| one.id().to_owned())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), receiver.received().len() - 2);
}

#[tokio::test]
async fn an_end_that_is_never_taken_is_given_up_and_can_be_replayed() {
    let (service, receiver) = (TestService::start_with(quick_and_few).await, fails(2).await);
    submit(&service, "j", &receiver.url()).await;
    let failed = delivery(&service, "j", settled).await;
    assert_eq!(failed["status"], "failed");
    assert_eq!(statuses(&failed), [Some(500), Some(500)]);
    let id = failed["id"].as_str().unwrap();
    let replayed = replay(&service, "j", id).await;
    assert_eq!(
        (replayed.status, &replayed.body["id"]),
        (202, &failed["id"])
    );
    let taken = delivery(&service, "j", settled).await;
    assert_eq!(taken["status"], "delivered");
    assert_eq!(statuses(&taken), [Some(500), Some(500), Some(200)]);
    assert!(receiver.ends().iter().all(|end| end.id() == id));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let service = TestService::start_with(quick).await;
    let receiver = Receiver::start(|_| async { StatusCode::GONE.into_response() }).await;
    submit(&service, "j", &receiver.url()).await;
    let delivery = delivery(&service, "j", settled).await;
    assert_eq!(delivery["status"], "failed");
    assert_eq!(statuses(&delivery), [Some(410)]);
}

#[tokio::test]
async fn a_redirect_is_a_failure_and_leads_nowhere() {
    let service = TestService::start_with(quick_and_few).await;
    let elsewhere = fails(0).await;
    let target = elsewhere.url();
    let receiver = Receiver::start(move |_| {
        let location = [("location", target.clone())];
        async { (StatusCode::PERMANENT_REDIRECT, location).into_response() }
    })
    .await;
    submit(&service, "j", &receiver.url()).await;
    let delivery = delivery(&service, "j", settled).await;
    assert_eq!(delivery["status"], "failed");
    assert_eq!(statuses(&delivery), [Some(308), Some(308)]);
    assert_eq!(elsewhere.received().len(), 0);
}

#[tokio::test]
async fn a_receiver_that_asks_for_time_gets_it_within_a_day() {
    const DAY: i64 = 24 * 60 * 60;
    let service = TestService::start_with(quick).await;
    let date = "Fri, 31 Dec 9999 23:59:59 GMT";
    for (id, status, value, least, most) in [
        ("seconds", 503, "3600", 3600, 3700),
        ("too-many", 429, "999999999999", DAY, DAY + 100),
        ("date", 503, date, DAY, DAY + 100),
    ] {
        let receiver = Receiver::start(move |received: Received| async move {
            let status = match received.attempt {
                1 => StatusCode::from_u16(status).unwrap(),
                _ => StatusCode::OK,
            };
            (status, [("retry-after", value)]).into_response()
        })
        .await;
        submit(&service, id, &receiver.url()).await;
        let waiting = delivery(&service, id, attempted).await;
        assert_eq!(waiting["status"], "pending");
        let wait = time(&waiting["next_attempt_at"]) - time(&waiting["log"][0]["at"]);
        assert!((least..=most).contains(&wait.num_seconds()), "{id}: {wait}");
        // It is hastened by whoever knows better.
        let hastened = replay(&service, id, waiting["id"].as_str().unwrap()).await;
        assert_eq!(hastened.status, 202);
        let taken = delivery(&service, id, settled).await;
        assert_eq!(taken["status"], "delivered");
    }
}

#[tokio::test]
async fn a_receiver_that_hangs_is_asked_again() {
    let service = TestService::start_with(|s| {
        quick(s);
        s.callback_timeout = Duration::from_millis(200);
    })
    .await;
    let receiver = Receiver::start(|received: Received| async move {
        if received.attempt == 1 {
            std::future::pending::<()>().await;
        }
        answer(false)
    })
    .await;
    submit(&service, "j", &receiver.url()).await;
    let delivery = delivery(&service, "j", settled).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(statuses(&delivery), [None, Some(200)]);
    let error = delivery["log"][0]["error"].as_str().unwrap();
    assert!(error.contains("0.2 s (CALLBACK_TIMEOUT)"), "{error}");
}

#[tokio::test]
async fn connections_that_break_are_failures() {
    let service = TestService::start_with(quick_and_few).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 16]).await;
            // What was not read makes of the end a reset.
            drop(connection);
        }
    });
    submit(&service, "j", &callback).await;
    let delivery = delivery(&service, "j", settled).await;
    assert_eq!(delivery["status"], "failed");
    assert_eq!(statuses(&delivery), [None, None]);
    assert_eq!(delivery["log"][0]["error"], "the connection broke");
}

#[tokio::test]
async fn a_receiver_that_is_down_hears_of_the_end_when_it_is_up() {
    let service = TestService::start_with(|s| {
        quick(s);
        s.allowed_private_hosts
            .push(AllowedHost::parse("127.61.7.11").unwrap());
    })
    .await;
    // An address that nobody else listens on.
    let address = "127.61.7.11:4471".parse().unwrap();
    submit(&service, "j", &format!("http://{address}/")).await;
    let waiting = delivery(&service, "j", attempted).await;
    assert_eq!(waiting["log"][0]["error"], "the connection failed");
    let receiver = Receiver::start_at(address, |_| async { answer(false) }).await;
    receiver.told(1).await;
    let taken = delivery(&service, "j", settled).await;
    assert_eq!(taken["status"], "delivered");
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off_and_its_status_counts() {
    const GIGABYTE: u64 = 1 << 30;
    let service = TestService::start_with(|s| {
        quick(s);
        // Time is not what cuts it off.
        s.callback_timeout = Duration::from_secs(3600);
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}/", listener.local_addr().unwrap());
    let (sender, mut sent) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((connection, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move { sender.send(flood(connection, GIGABYTE).await) });
        }
    });
    submit(&service, "j", &callback).await;
    let delivery = delivery(&service, "j", settled).await;
    assert_eq!(delivery["status"], "delivered");
    assert_eq!(statuses(&delivery), [Some(200)]);
    // What the system buffers counts as sent.
    let sent = sent.recv().await.unwrap();
    assert!(sent < GIGABYTE / 16, "{sent}");
}

/// Answers a request with so many bytes; how many could be sent.
async fn flood(mut connection: TcpStream, bytes: u64) -> u64 {
    let _ = connection.read(&mut [0; 4096]).await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\n\r\n");
    let _ = connection.write_all(head.as_bytes()).await;
    let block = vec![b'x'; 64 * 1024];
    let mut sent = 0;
    while sent < bytes
        && let Ok(count) = connection.write(&block).await
    {
        sent += count as u64;
    }
    sent
}

#[tokio::test]
async fn a_status_counts_even_if_the_rest_of_the_answer_does_not_come() {
    let service = TestService::start_with(|s| {
        quick(s);
        s.callback_timeout = Duration::from_millis(200);
    })
    .await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let callback = format!("http://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut open = Vec::new();
        while let Ok((mut connection, _)) = listener.accept().await {
            let _ = connection.read(&mut [0; 4096]).await;
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n";
            let _ = connection.write_all(head).await;
            open.push(connection);
        }
    });
    submit(&service, "j", &callback).await;
    let delivery = delivery(&service, "j", settled).await;
    assert_eq!(statuses(&delivery), [Some(200)]);
}

#[tokio::test]
async fn a_restart_between_attempts_changes_nothing() {
    let (receiver, up) = down().await;
    let service = TestService::start_with(quick).await;
    submit(&service, "j", &receiver.url()).await;
    let before = delivery(&service, "j", attempted).await;
    assert_eq!(before["status"], "pending");
    let directory = service.stop().await;
    up.store(true, Ordering::SeqCst);
    let service = TestService::start_in(directory, quick).await;
    let after = delivery(&service, "j", settled).await;
    assert_eq!(
        (&after["status"], &after["id"]),
        (&json!("delivered"), &before["id"])
    );
    assert_eq!(after["log"][0], before["log"][0]);
    let ends = receiver.ends();
    assert!(ends.len() >= 2);
    assert!(ends.iter().all(|end| end.id() == before["id"]));
}

#[tokio::test]
async fn a_process_that_dies_while_it_tells_an_end_tells_it_after_the_next_start() {
    let receiver = Receiver::start(|received: Received| async move {
        if received.attempt == 1 {
            std::future::pending::<()>().await;
        }
        answer(false)
    })
    .await;
    let directory = Arc::new(TempDir::new().unwrap());
    // All of the service, and nothing else, lives in a runtime that is dropped.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let settings = settings(directory.path());
    let started = runtime.spawn(async { Service::start(settings).await.unwrap() });
    let service = started.await.unwrap();
    let api = format!("http://{}/api/v1/mesh/generate", service.local_addr());
    runtime.spawn(service.serve(std::future::pending()));
    let origin = Origin::start().await;
    let body = json!({
        "image_url": origin.url("/disc.png"), "callback_url": receiver.url(), "job_id": "j",
    });
    let posted = reqwest::Client::new()
        .post(api)
        .body(body.to_string())
        .send()
        .await;
    assert_eq!(posted.unwrap().status(), 202);
    let first = receiver.told(1).await[0].clone();
    tokio::task::spawn_blocking(|| drop(runtime)).await.unwrap();

    let service = TestService::start_in(directory, |_| {}).await;
    let taken = delivery(&service, "j", settled).await;
    assert_eq!(taken["status"], "delivered");
    // The attempt that was cut short has left no trace.
    assert_eq!(statuses(&taken), [Some(200)]);
    let ends = receiver.ends();
    assert_eq!(ends.len(), 2);
    assert_eq!((ends[1].id(), &ends[1].body), (first.id(), &first.body));
}

#[tokio::test]
async fn a_shutdown_waits_for_what_is_being_told() {
    let gate = Arc::new(Semaphore::new(0));
    let opened = Arc::clone(&gate);
    let receiver = Receiver::start(move |_| {
        let gate = Arc::clone(&opened);
        async move {
            gate.acquire().await.unwrap().forget();
            answer(false)
        }
    })
    .await;
    let service = TestService::start().await;
    submit(&service, "j", &receiver.url()).await;
    receiver.told(1).await;
    let address = service.base.trim_start_matches("http://").to_owned();
    let stopping = tokio::spawn(service.stop());
    eventually("the shutdown has begun", || async {
        TcpStream::connect(&address).await.err()
    })
    .await;
    gate.add_permits(1);
    let directory = stopping.await.unwrap();
    let service = TestService::start_in(directory, |_| {}).await;
    let taken = delivery(&service, "j", settled).await;
    assert_eq!(taken["status"], "delivered");
    assert_eq!(receiver.ends().len(), 1);
}

#[tokio::test]
async fn what_a_shutdown_cuts_short_stays_to_be_told() {
    let receiver = Receiver::start(|received: Received| async move {
        if received.attempt == 1 {
            std::future::pending::<()>().await;
        }
        answer(false)
    })
    .await;
    let service = TestService::start_with(|s| s.drain_timeout = Duration::from_millis(50)).await;
    submit(&service, "j", &receiver.url()).await;
    receiver.told(1).await;
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |_| {}).await;
    let taken = delivery(&service, "j", settled).await;
    assert_eq!(
        (&taken["status"], &taken["attempts"]),
        (&json!("delivered"), &json!(1))
    );
}

#[tokio::test]
async fn a_receiver_that_is_closed_by_a_setting_is_tried_until_it_is_opened_again() {
    let (receiver, up) = down().await;
    let service = TestService::start_with(quick).await;
    submit(&service, "j", &receiver.url()).await;
    delivery(&service, "j", attempted).await;
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |s| {
        quick(s);
        s.allowed_private_hosts.clear();
    })
    .await;
    let is_refused = |delivery: &Value| {
        let last = delivery["log"].as_array().unwrap().last().unwrap();
        let error = last["error"].as_str().unwrap();
        error.contains("ALLOWED_PRIVATE_HOSTS")
    };
    let refused = delivery(&service, "j", is_refused).await;
    assert_eq!(refused["status"], "pending");
    up.store(true, Ordering::SeqCst);
    let directory = service.stop().await;
    let service = TestService::start_in(directory, quick).await;
    let taken = delivery(&service, "j", settled).await;
    assert_eq!(taken["status"], "delivered");
}

#[tokio::test]
async fn the_end_of_a_job_that_cannot_be_read_is_given_up() {
    let receiver = fails(1).await;
    let service = TestService::start_with(quick).await;
    submit(&service, "other", &receiver.url()).await;
    delivery(&service, "other", settled).await;
    let file = rusqlite::Connection::open(service.directory().join("jobs.db")).unwrap();
    file.execute_batch("UPDATE jobs SET request = '{}'")
        .unwrap();
    let id = receiver.ends()[0].id().to_owned();
    assert_eq!(replay(&service, "other", &id).await.status, 202);
    let failed = delivery(&service, "other", settled).await;
    assert_eq!(failed["status"], "failed");
    let error = failed["log"][2]["error"].as_str().unwrap();
    assert!(error.contains("damaged"), "{error}");
    assert_eq!(receiver.ends().len(), 2);
}

#[tokio::test]
async fn what_does_not_exist_is_not_found() {
    let service = TestService::start().await;
    let origin = Origin::start().await;
    service.accept("untold", &origin.url("/disc.png")).await;
    service.ended("untold").await;
    let none = service.get("/api/v1/mesh/untold/deliveries").await;
    assert_eq!(none.body, json!({ "job_id": "untold", "deliveries": [] }));
    let unknown = replay(&service, "untold", "msg_1").await;
    assert_eq!(
        (unknown.status, unknown.code()),
        (404, "DELIVERY_NOT_FOUND")
    );
    for id in ["nobody", "a%20b"] {
        let listed = service.get(&format!("/api/v1/mesh/{id}/deliveries")).await;
        assert_eq!((listed.status, listed.code()), (404, "JOB_NOT_FOUND"));
        let replayed = replay(&service, id, "msg_1").await;
        assert_eq!((replayed.status, replayed.code()), (404, "JOB_NOT_FOUND"));
    }
}
