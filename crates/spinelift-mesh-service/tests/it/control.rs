//! Jobs that are listed, cancelled and deleted.

use crate::harness::{Answer, Log, Origin, Receiver, TestService, eventually};
use axum::http::StatusCode;
use axum::response::IntoResponse;
use futures_util::future::join_all;
use serde_json::{Value, json};
use spinelift_mesh_service::ApiKeys;
use std::collections::HashSet;
use std::time::Duration;

async fn cancel(service: &TestService, id: &str) -> Answer {
    let path = format!("/api/v1/mesh/{id}/cancel");
    service.send(service.request("POST", &path)).await
}

async fn delete(service: &TestService, id: &str) -> Answer {
    let path = format!("/api/v1/mesh/{id}");
    service.send(service.request("DELETE", &path)).await
}

fn names(list: &Value) -> Vec<&str> {
    let jobs = list["jobs"].as_array().unwrap().iter();
    jobs.map(|job| job["job_id"].as_str().unwrap()).collect()
}

async fn one_at_a_time() -> TestService {
    TestService::start_with(|s| s.max_concurrent_downloads = 1.try_into().unwrap()).await
}

#[tokio::test]
async fn jobs_are_listed_newest_first_page_by_page() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    for id in ["a", "b", "c"] {
        service.accept(id, &origin.url("/disc.png")).await;
        service.ended(id).await;
    }
    service.accept("d", &origin.url("/missing.png")).await;
    service.ended("d").await;
    let all = service.get("/api/v1/mesh").await;
    assert_eq!(all.status, 200);
    assert_eq!(names(&all.body), ["d", "c", "b", "a"]);
    assert!(all.body.get("next_cursor").is_none());
    assert_eq!(all.body["jobs"][3], service.status("a").await.body);

    let first = service.get("/api/v1/mesh?limit=3").await.body;
    assert_eq!(names(&first), ["d", "c", "b"]);
    let cursor = first["next_cursor"].as_str().unwrap();
    let path = format!("/api/v1/mesh?limit=3&cursor={cursor}");
    assert_eq!(names(&service.get(&path).await.body), ["a"]);
}

#[tokio::test]
async fn the_list_knows_the_contracts_words_and_the_states_behind_them() {
    let (service, origin) = (one_at_a_time().await, Origin::start().await);
    service.accept("fails", &origin.url("/missing.png")).await;
    service.ended("fails").await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    service.accept("waits", &origin.url("/disc.png")).await;
    service.accept("gone", &origin.url("/disc.png")).await;
    assert_eq!(cancel(&service, "gone").await.status, 200);
    for (status, expected) in [
        ("processing", vec!["waits", "runs"]),
        ("queued", vec!["waits"]),
        ("running", vec!["runs"]),
        ("failed", vec!["gone", "fails"]),
        ("cancelled", vec!["gone"]),
        ("completed", vec![]),
    ] {
        let list = service.get(&format!("/api/v1/mesh?status={status}")).await;
        assert_eq!(names(&list.body), expected, "{status}");
    }
    origin.open_gate();
    service.ended("waits").await;
}

#[tokio::test]
async fn every_mistake_in_a_query_is_told() {
    let service = TestService::start().await;
    let answer = service.get("/api/v1/mesh?status=done&limit=0&page=2").await;
    assert_eq!((answer.status, answer.code()), (422, "VALIDATION_ERROR"));
    let errors = answer.body["error"]["details"]["errors"]
        .as_array()
        .unwrap();
    let fields: Vec<_> = errors.iter().map(|error| &error["field"]).collect();
    assert_eq!(fields, ["status", "limit", "page"]);
}

#[tokio::test]
async fn a_waiting_job_is_cancelled_though_the_queue_is_full() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_concurrent_downloads = 1.try_into().unwrap();
        s.max_queue_length = 1.try_into().unwrap();
    })
    .await;
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    service.accept("waits", &origin.url("/disc.png")).await;
    let answer = cancel(&service, "waits").await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["cancelled"], true);
    assert_eq!(answer.body["status"], "failed");
    assert_eq!(answer.body["state"], "cancelled");
    assert_eq!(answer.body["error"]["code"], "JOB_CANCELLED");
    // There is room again, at once.
    service.accept("next", &origin.url("/disc.png")).await;
    let again = cancel(&service, "waits").await;
    assert_eq!(
        (again.status, &again.body["cancelled"]),
        (200, &json!(false))
    );
    assert_eq!(again.body["state"], "cancelled");
    origin.open_gate();
    assert_eq!(service.ended("next").await["status"], "completed");
    assert_eq!(origin.hits("/disc.png"), 1);
    let ended = cancel(&service, "next").await;
    assert_eq!(
        (ended.status, &ended.body["cancelled"]),
        (200, &json!(false))
    );
    assert_eq!(ended.body["status"], "completed");
    assert_eq!(cancel(&service, "unknown").await.status, 404);
    assert_eq!(cancel(&service, "a%2fb").await.code(), "JOB_NOT_FOUND");
}

/// The job has the only place there is, and would keep it for an hour.
#[tokio::test]
async fn a_running_job_gives_its_place_to_the_next_when_it_is_cancelled() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        let hour = Duration::from_secs(60 * 60);
        (s.image_first_byte_timeout, s.image_timeout, s.job_timeout) = (hour, hour, hour);
        s.max_concurrent_downloads = 1.try_into().unwrap();
    })
    .await;
    service.accept("hangs", &origin.url("/hang.png")).await;
    service.running("hangs").await;
    service.accept("next", &origin.url("/disc.png")).await;
    assert_eq!(cancel(&service, "hangs").await.body["cancelled"], true);
    assert_eq!(service.ended("next").await["status"], "completed");
    assert_eq!(service.status("hangs").await.body["progress"], 10);
}

/// Every core computes, is told to stop, and none of the computations comes to its end. That a
/// computation ends with whoever waits for it is tested beside the code.
#[tokio::test]
async fn computations_stop_when_their_jobs_are_cancelled() {
    let log = Log::keep();
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_mesh_vertices = 10_000_000.try_into().unwrap();
        s.memory_budget = 64 << 30;
    })
    .await;
    let cores = std::thread::available_parallelism().unwrap().get();
    let images = (1..=cores).map(|number| {
        json!({
            "image_url": origin.url("/large.png"),
            // Each its own mesh: of equal ones one would be computed.
            "parameters": { "min_contour_area": number },
        })
    });
    let batch = json!({
        "batch_id": "stopped",
        "images": images.collect::<Vec<_>>(),
        "parameters": { "internal_vertex_density": 100, "density_scaling_factor": 10000 },
    });
    let request = service.request("POST", "/api/v1/mesh/batch");
    let accepted = service.send(request.body(batch.to_string())).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    eventually("a core triangulates", || async {
        let list = service.get("/api/v1/mesh?status=running").await.body;
        let mut jobs = list["jobs"].as_array().unwrap().iter();
        jobs.any(|job| job["progress"] == 70).then_some(())
    })
    .await;
    assert_eq!(cancel(&service, "stopped").await.body["cancelled"], true);
    let cancelled = service.get("/api/v1/mesh?status=cancelled").await.body;
    let cancelled = cancelled["jobs"].as_array().unwrap().iter();
    let running = cancelled.filter(|job| job["attempts"] == 1).count();
    assert!(running > 0);
    let logged = |message: &str| {
        let text = log.text();
        let lines = text
            .lines()
            .filter(|line| line.contains("\"job_id\":\"stopped-"));
        lines.filter(|line| line.contains(message)).count()
    };
    eventually("all of them are told", || async {
        (logged("job cancelled while it ran") == running).then_some(())
    })
    .await;
    assert_eq!(logged("counts for nothing"), 0);
    service.accept("next", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("next").await["status"], "completed");
}

/// Cancelled at any moment, a job ends once, is told once, and leaves nothing behind.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_job_can_be_cancelled_at_every_moment() {
    const CLIENTS: usize = 6;
    const JOBS: usize = 60;
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let receiver = Receiver::start(|_| async { StatusCode::OK.into_response() }).await;
    let client = async |client: usize| {
        for number in 0..JOBS {
            let id = format!("{client}-{number}");
            let body = json!({
                "job_id": id,
                "image_url": origin.url("/disc.png"),
                "callback_url": receiver.url(),
                // Each its own mesh, so that each is stored.
                "parameters": { "min_contour_area": 1 + client * JOBS + number },
            });
            assert_eq!(service.generate(&body).await.status, 202);
            let moment = Duration::from_micros(fastrand::u64(..20_000));
            tokio::time::sleep(moment).await;
            assert_eq!(cancel(&service, &id).await.status, 200);
            let end = service.status(&id).await.body["status"].clone();
            assert_ne!(end, "processing", "{id}");
        }
    };
    join_all((0..CLIENTS).map(client)).await;

    eventually("no job runs", || async {
        let metrics = service.request("GET", "/metrics").send().await.unwrap();
        let metrics = metrics.text().await.unwrap();
        let running = metrics
            .lines()
            .any(|line| line == "spinelift_jobs_running 0");
        running.then_some(())
    })
    .await;
    let ends = receiver.told(CLIENTS * JOBS).await;
    let jobs: HashSet<_> = ends.iter().map(|end| end.event["job_id"].clone()).collect();
    assert_eq!((jobs.len(), ends.len()), (CLIENTS * JOBS, CLIENTS * JOBS));
    let completed = ends.iter().filter(|end| end.event["status"] == "completed");
    let completed = completed.count();
    eventually("nothing is left of the others", || async {
        (results(&service) == completed).then_some(())
    })
    .await;
    for id in &jobs {
        assert_eq!(delete(&service, id.as_str().unwrap()).await.status, 204);
    }
    assert_eq!(results(&service), 0);
    assert_eq!(receiver.ends().len(), jobs.len(), "none is told again");
}

/// How many results are stored.
fn results(service: &TestService) -> usize {
    let folders = std::fs::read_dir(service.directory().join("storage/results"));
    let files = |folder: std::fs::DirEntry| std::fs::read_dir(folder.path()).unwrap().count();
    folders.into_iter().flatten().flatten().map(files).sum()
}

#[tokio::test]
async fn a_job_that_has_ended_is_deleted_with_its_result() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("runs", &origin.url("/gated.png")).await;
    service.running("runs").await;
    let refused = delete(&service, "runs").await;
    assert_eq!((refused.status, refused.code()), (409, "JOB_NOT_FINISHED"));
    origin.open_gate();
    service.ended("runs").await;
    // The same image: both need one result.
    service.accept("other", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("other").await["cached"], true);
    assert_eq!(delete(&service, "runs").await.status, 204);
    assert_eq!(delete(&service, "runs").await.status, 404);
    assert_eq!(service.status("runs").await.status, 404);
    assert_eq!(service.result("other").await.status, 200);
    assert_eq!(delete(&service, "other").await.status, 204);
    assert_eq!(results(&service), 0, "nobody needs the result any more");
}

#[tokio::test]
async fn jobs_with_names_of_endpoints_are_deleted_like_others() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    for id in ["generate", "upload", "batch"] {
        assert_eq!(delete(&service, id).await.code(), "JOB_NOT_FOUND");
        service.accept(id, &origin.url("/disc.png")).await;
        service.ended(id).await;
        assert_eq!(delete(&service, id).await.status, 204, "{id}");
        assert_eq!(service.status(id).await.status, 404, "{id}");
    }
}

#[tokio::test]
async fn with_keys_all_of_it_needs_one_and_without_a_prefix_it_works() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.api_keys = ApiKeys::parse("a-key-of-sixteen-or-more").unwrap();
        s.api_prefix = String::new();
    })
    .await;
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "j" }).to_string();
    for (method, path, status) in [
        ("POST", "/mesh/generate?wait=60", 200),
        ("GET", "/mesh", 200),
        ("GET", "/mesh/j/events", 200),
        ("POST", "/mesh/j/cancel", 200),
        ("GET", "/presets", 200),
        ("POST", "/parameters/validate", 200),
        ("GET", "/openapi.json", 200),
        ("GET", "/docs", 200),
        ("DELETE", "/mesh/j", 204),
    ] {
        let request = || service.request(method, path).body(body.clone());
        let refused = service.send(request()).await;
        assert_eq!(
            (refused.status, refused.code()),
            (401, "UNAUTHORIZED"),
            "{path}"
        );
        let key = request().bearer_auth("a-key-of-sixteen-or-more");
        assert_eq!(service.send(key).await.status, status, "{path}");
    }
}
