//! Images that come late, wrong or not at all, and more jobs than there is room for.

use crate::harness::{Origin, TestService};
use serde_json::{Value, json};
use spinelift_mesh_service::AllowedHost;
use std::num::NonZeroUsize;
use std::time::Duration;

async fn outcome(service: &TestService, url: &str) -> Value {
    let answer = service.generate(&json!({ "image_url": url })).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    service.ended(answer.body["job_id"].as_str().unwrap()).await
}

#[tokio::test]
async fn a_missing_image_fails_at_once() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let ended = outcome(&service, &origin.url("/missing.png?token=hunter2")).await;
    assert_eq!(ended["status"], "failed");
    assert_eq!(ended["progress"], 10);
    let error = &ended["error"];
    assert_eq!(error["code"], "IMAGE_LOAD_FAILED");
    assert_eq!(error["details"]["reason"], "http_status");
    assert_eq!(error["details"]["status"], 404);
    assert_eq!(error["details"]["tries"], 1);
    assert_eq!(
        error["details"]["url"],
        origin.url("/missing.png?[redacted]")
    );
    assert_eq!(origin.hits("/missing.png"), 1);
    assert!(!ended.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_server_that_recovers_is_asked_again() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let ended = outcome(&service, &origin.url("/flaky.png")).await;
    assert_eq!(ended["status"], "completed", "{ended}");
    assert_eq!(origin.hits("/flaky.png"), 3);
}

#[tokio::test]
async fn a_server_that_stays_down_is_given_up() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let ended = outcome(&service, &origin.url("/down.png")).await;
    assert_eq!(ended["error"]["code"], "IMAGE_LOAD_FAILED");
    assert_eq!(ended["error"]["details"]["status"], 503);
    assert_eq!(ended["error"]["details"]["tries"], 3);
    assert_eq!(origin.hits("/down.png"), 3);
}

#[tokio::test]
async fn a_server_that_refuses_connections_is_given_up() {
    let service = TestService::start_with(|s| s.image_tries = 2.try_into().unwrap()).await;
    let closed = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let ended = outcome(&service, &format!("http://{closed}/a.png")).await;
    assert_eq!(ended["error"]["details"]["reason"], "connect");
    assert_eq!(ended["error"]["details"]["tries"], 2);
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.image_first_byte_timeout = Duration::from_millis(200);
        s.image_tries = 2.try_into().unwrap();
    })
    .await;
    let ended = outcome(&service, &origin.url("/hang.png")).await;
    assert_eq!(ended["error"]["code"], "IMAGE_LOAD_FAILED");
    assert_eq!(ended["error"]["details"]["reason"], "timeout");
    assert_eq!(origin.hits("/hang.png"), 2);
}

#[tokio::test]
async fn a_job_is_stopped_when_its_time_is_up() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| s.job_timeout = Duration::from_millis(200)).await;
    let ended = outcome(&service, &origin.url("/hang.png")).await;
    assert_eq!(ended["error"]["code"], "JOB_TIMEOUT");
    assert_eq!(ended["error"]["details"]["job_timeout"], 0.2);
    assert_eq!(ended["progress"], 10);
}

/// The parameters ask for hundreds of thousands of vertices, which takes far longer than allowed.
#[tokio::test]
async fn a_computation_is_stopped_when_its_time_is_up() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.job_timeout = Duration::from_millis(60);
        s.max_mesh_vertices = 10_000_000.try_into().unwrap();
        s.memory_budget = 64 << 30;
    })
    .await;
    // The image is drawn now, so that the job's time goes to the computation.
    reqwest::get(origin.url("/large.png")).await.unwrap();
    for number in 0..8 {
        let body = json!({
            "image_url": origin.url("/large.png"),
            "parameters": { "internal_vertex_density": 100, "density_scaling_factor": 10000 },
            "job_id": format!("j{number}"),
        });
        assert_eq!(service.generate(&body).await.status, 202);
    }
    for number in 0..8 {
        let ended = service.ended(&format!("j{number}")).await;
        assert_eq!(ended["error"]["code"], "JOB_TIMEOUT", "{ended}");
    }
    // The computations heard of it: a job that is quick finds a core.
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |_| {}).await;
    assert_eq!(
        outcome(&service, &origin.url("/disc.png")).await["status"],
        "completed"
    );
}

#[tokio::test]
async fn an_image_beyond_the_cap_is_refused_whatever_its_length_says() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| s.max_image_bytes = 5000.try_into().unwrap()).await;
    for path in ["/large.png", "/chunked.png"] {
        let ended = outcome(&service, &origin.url(path)).await;
        assert_eq!(ended["error"]["code"], "IMAGE_LOAD_FAILED", "{path}");
        assert_eq!(
            ended["error"]["details"]["reason"], "too_many_bytes",
            "{path}"
        );
        assert_eq!(origin.hits(path), 1);
    }
    assert_eq!(
        outcome(&service, &origin.url("/disc.png")).await["status"],
        "completed"
    );
}

#[tokio::test]
async fn what_is_no_image_is_said_to_be_none() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let ended = outcome(&service, &origin.url("/text.png")).await;
    assert_eq!(ended["error"]["code"], "IMAGE_LOAD_FAILED");
    assert_eq!(ended["error"]["details"]["reason"], "unknown_format");
}

#[tokio::test]
async fn an_image_beyond_the_dimensions_is_refused() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| s.max_image_dimension = 1000).await;
    let ended = outcome(&service, &origin.url("/large.png")).await;
    assert_eq!(ended["error"]["details"]["reason"], "too_large");
    assert_eq!(ended["error"]["details"]["max_image_dimension"], 1000);
}

#[tokio::test]
async fn pixels_and_the_decoder_s_memory_are_limited_by_settings() {
    let origin = Origin::start().await;
    let few = NonZeroUsize::new(1000).unwrap();
    let service = TestService::start_with(|s| s.max_image_pixels = few).await;
    let ended = outcome(&service, &origin.url("/large.png")).await;
    assert_eq!(ended["error"]["details"]["reason"], "too_many_pixels");
    assert_eq!(ended["error"]["details"]["max_image_pixels"], 1000);

    let service = TestService::start_with(|s| s.max_decoder_memory = few).await;
    let ended = outcome(&service, &origin.url("/large.png")).await;
    assert_eq!(ended["error"]["details"]["reason"], "decoder_memory");
    assert_eq!(ended["error"]["details"]["max_decoder_memory"], 1000);
}

#[tokio::test]
async fn redirects_are_followed_but_not_for_ever() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    assert_eq!(
        outcome(&service, &origin.url("/to/disc")).await["status"],
        "completed"
    );
    let ended = outcome(&service, &origin.url("/loop")).await;
    assert_eq!(ended["error"]["details"]["reason"], "too_many_redirects");
    assert_eq!(origin.hits("/loop"), 4);
    let ended = outcome(&service, &origin.url("/to/file")).await;
    assert_eq!(ended["error"]["details"]["reason"], "redirect_scheme");
}

#[tokio::test]
async fn a_full_queue_is_said_to_be_full() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.max_concurrent_downloads = 1.try_into().unwrap();
        s.max_queue_length = 1.try_into().unwrap();
    })
    .await;
    let gated = origin.url("/gated.png");
    service.accept("runs", &gated).await;
    service.running("runs").await;
    service.accept("waits", &gated).await;
    let refused = service
        .generate(&json!({ "image_url": gated, "job_id": "late" }))
        .await;
    assert_eq!((refused.status, refused.code()), (503, "QUEUE_FULL"));
    assert!(refused.headers.contains_key("retry-after"));
    assert_eq!(service.status("late").await.status, 404);
    // Jobs that are known are still answered for.
    service.accept("waits", &gated).await;
    origin.open_gate();
    service.ended("waits").await;
    service.accept("late", &gated).await;
    assert_eq!(service.ended("late").await["status"], "completed");
}

#[tokio::test]
async fn a_server_that_hangs_holds_up_no_jobs_of_others() {
    let service = TestService::start_with(|s| {
        s.max_concurrent_downloads = 4.try_into().unwrap();
        s.max_downloads_per_host = 2.try_into().unwrap();
        let localhost = AllowedHost::parse("localhost").unwrap();
        s.allowed_private_hosts.push(localhost);
    })
    .await;
    // One machine, whatever the ports.
    let hanging = [Origin::start().await, Origin::start().await];
    for number in 0..20 {
        let url = hanging[number % 2].url("/hang.png");
        service.accept(&format!("hangs-{number}"), &url).await;
    }
    let url = hanging[0]
        .url("/disc.png")
        .replace("127.0.0.1", "localhost");
    service.accept("works", &url).await;
    assert_eq!(service.ended("works").await["status"], "completed");
    let [one, other] = hanging.map(|origin| origin.hits("/hang.png"));
    assert!(one + other <= 2);
}

#[tokio::test]
async fn a_repeat_of_image_and_parameters_is_answered_from_the_cache() {
    let origin = Origin::start().await;
    let service = TestService::start().await;
    service.accept("first", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("first").await["cached"], false);
    let directory = service.stop().await;
    let service = TestService::start_in(directory, |_| {}).await;
    // The same image under another name.
    service.accept("second", &origin.url("/to/disc")).await;
    assert_eq!(service.ended("second").await["cached"], true);
    let [first, second] = [
        service.result("first").await,
        service.result("second").await,
    ];
    assert_eq!(first.status, 200);
    assert_eq!(first.body, second.body);
    let other = json!({
        "image_url": origin.url("/disc.png"), "job_id": "other",
        "parameters": { "detail_factor": 0.02 },
    });
    service.generate(&other).await;
    assert_eq!(service.ended("other").await["cached"], false);
}

#[tokio::test]
async fn a_cached_result_that_has_vanished_is_made_anew() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    service.accept("first", &origin.url("/disc.png")).await;
    service.ended("first").await;
    std::fs::remove_dir_all(service.directory().join("storage/results")).unwrap();
    service.accept("second", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("second").await["cached"], false);
    assert_eq!(service.result("second").await.status, 200);
    service.accept("third", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("third").await["cached"], true);
}

#[tokio::test]
async fn what_many_want_at_once_is_computed_once() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    for number in 0..100 {
        service
            .accept(&format!("j{number}"), &origin.url("/gated.png"))
            .await;
    }
    origin.open_gate();
    let mut computed = 0;
    for number in 0..100 {
        let ended = service.ended(&format!("j{number}")).await;
        assert_eq!(ended["status"], "completed");
        computed += usize::from(ended["cached"] == false);
    }
    assert_eq!(computed, 1);
}

#[tokio::test]
async fn downloads_that_hang_take_no_computing_away() {
    // Far more downloads than cores: the computation of the last job still gets one.
    let (service, origin) = (TestService::start().await, Origin::start().await);
    for number in 0..9 {
        service
            .accept(&format!("hangs-{number}"), &origin.url("/gated.png"))
            .await;
    }
    service.accept("runs", &origin.url("/disc.png")).await;
    assert_eq!(service.ended("runs").await["status"], "completed");
    assert_eq!(service.status("hangs-0").await.body["status"], "processing");
    origin.open_gate();
    assert_eq!(service.ended("hangs-8").await["status"], "completed");
}

#[tokio::test]
async fn many_jobs_all_complete() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    for number in 0..60 {
        service
            .accept(&format!("j{number}"), &origin.url("/disc.png"))
            .await;
    }
    for number in 0..60 {
        assert_eq!(
            service.ended(&format!("j{number}")).await["status"],
            "completed"
        );
    }
}

#[tokio::test]
async fn a_part_of_an_image_is_no_image() {
    let (service, origin) = (TestService::start().await, Origin::start().await);
    let ended = outcome(&service, &origin.url("/part.png")).await;
    assert_eq!(ended["error"]["details"]["status"], 206, "{ended}");
    assert_eq!(origin.hits("/part.png"), 1);
}
