//! `GET /metrics`: the numbers are right, and those who read them find what they look for.

use crate::harness::{Origin, TestService, eventually};
use prometheus_parse::{Scrape, Value as Measured};
use serde_json::{Value, json};
use spinelift_mesh_service::ApiKeys;
use spinelift_mesh_service::metrics::{METRICS, documentation};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

/// What a service exposes.
struct Exposition {
    text: String,
    scrape: Scrape,
}

impl Exposition {
    async fn of(service: &TestService) -> Self {
        let response = service.request("GET", "/metrics").send().await.unwrap();
        assert_eq!(response.status(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert_eq!(kind, "text/plain; version=0.0.4; charset=utf-8");
        let text = response.text().await.unwrap();
        let lines = text.lines().map(|line| Ok(line.to_owned()));
        let scrape = Scrape::parse(lines).unwrap();
        Self { text, scrape }
    }

    /// The value of a series, or how often a histogram was told something.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let mut found = self.scrape.samples.iter().filter(|sample| {
            let labels_are = labels
                .iter()
                .all(|(name, value)| sample.labels.get(name) == Some(value));
            sample.metric == name && labels_are && sample.labels.len() == labels.len()
        });
        let sample = found
            .next()
            .unwrap_or_else(|| panic!("no {name} {labels:?} in\n{}", self.text));
        match &sample.value {
            Measured::Counter(value) | Measured::Gauge(value) | Measured::Untyped(value) => *value,
            other => panic!("{name}: {other:?}"),
        }
    }

    fn count(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        self.value(&format!("{name}_count"), labels)
    }

    /// The names in `TYPE` lines, with their kinds.
    fn types(&self) -> HashMap<&str, &str> {
        let types = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("# TYPE "));
        types.map(|line| line.split_once(' ').unwrap()).collect()
    }
}

async fn wait_for_value(service: &TestService, name: &str, labels: &[(&str, &str)], value: f64) {
    eventually(&format!("{name} is {value}"), || async {
        let exposition = Exposition::of(service).await;
        (exposition.value(name, labels) == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_numbers_after_a_mixture_of_jobs_are_exact() {
    let origin = Origin::start().await;
    let service = TestService::start_with(|s| {
        s.image_tries = 1.try_into().unwrap();
        s.max_queue_length = 1.try_into().unwrap();
        s.max_concurrent_downloads = 1.try_into().unwrap();
    })
    .await;
    for (id, image) in [
        ("made", "/disc.png"),
        ("cached", "/disc.png"),
        ("text", "/text.png"),
        ("down", "/down.png"),
        ("metadata", "/to/metadata"),
    ] {
        let body = json!({
            "image_url": origin.url(image), "job_id": id,
            "callback_url": origin.url("/callback"),
        });
        assert_eq!(service.generate(&body).await.status, 202);
        service.ended(id).await;
        // The next may find a cache that knows of this one.
        origin.events(id).await;
    }
    // Refused: by its address, and as it is no JSON.
    let private = json!({ "image_url": "http://127.0.0.2/x.png" });
    assert_eq!(service.generate(&private).await.status, 422);
    let request = service.request("POST", "/api/v1/mesh/generate").body("{");
    assert_eq!(service.send(request).await.status, 400);
    assert_eq!(service.get("/no/such/path").await.status, 404);
    // One runs, one waits, and there is no room for a third.
    service.accept("running", &origin.url("/gated.png")).await;
    service.running("running").await;
    service.accept("waiting", &origin.url("/disc.png")).await;
    let third = json!({ "image_url": origin.url("/disc.png") });
    assert_eq!(service.generate(&third).await.status, 503);

    // A request is counted once its last byte is sent, which its client may see before.
    let failed = [("method", "GET"), ("route", "none"), ("status", "404")];
    wait_for_value(&service, "spinelift_http_requests_total", &failed, 1.0).await;
    let generate = ("route", "/api/v1/mesh/generate");
    let full = [("method", "POST"), generate, ("status", "503")];
    wait_for_value(&service, "spinelift_http_requests_total", &full, 1.0).await;
    // The steps of a job that was told of its end may still be told.
    let delivered = [("outcome", "delivered")];
    let expected_callbacks: usize = {
        let mut all = 0;
        for id in ["made", "cached", "text", "down", "metadata"] {
            all += origin.events(id).await.len();
        }
        all
    };
    let callbacks = expected_callbacks as f64;
    wait_for_value(
        &service,
        "spinelift_callback_attempts_total",
        &delivered,
        callbacks,
    )
    .await;
    wait_for_value(&service, "spinelift_callbacks_undelivered", &[], 0.0).await;

    let seen = Exposition::of(&service).await;
    for (name, labels, value) in [
        ("spinelift_jobs_accepted_total", vec![], 7.0),
        (
            "spinelift_jobs_completed_total",
            vec![("result", "made")],
            1.0,
        ),
        (
            "spinelift_jobs_completed_total",
            vec![("result", "cached")],
            1.0,
        ),
        (
            "spinelift_jobs_failed_total",
            vec![("code", "IMAGE_LOAD_FAILED")],
            3.0,
        ),
        (
            "spinelift_jobs_failed_total",
            vec![("code", "JOB_TIMEOUT")],
            0.0,
        ),
        ("spinelift_jobs_failed_total", vec![("code", "other")], 0.0),
        ("spinelift_jobs_cancelled_total", vec![], 0.0),
        ("spinelift_jobs_running", vec![], 1.0),
        ("spinelift_queue_jobs", vec![], 1.0),
        ("spinelift_queue_capacity_jobs", vec![], 1.0),
        ("spinelift_downloads_in_progress", vec![], 1.0),
        (
            "spinelift_source_failures_total",
            vec![("reason", "http_status")],
            1.0,
        ),
        (
            "spinelift_source_failures_total",
            vec![("reason", "address_not_allowed")],
            1.0,
        ),
        (
            "spinelift_source_failures_total",
            vec![("reason", "unknown_format")],
            1.0,
        ),
        (
            "spinelift_source_failures_total",
            vec![("reason", "other")],
            0.0,
        ),
        (
            "spinelift_blocked_hosts_total",
            vec![("reason", "metadata")],
            1.0,
        ),
        (
            "spinelift_blocked_hosts_total",
            vec![("reason", "not_public")],
            1.0,
        ),
        (
            "spinelift_result_cache_requests_total",
            vec![("result", "hit")],
            1.0,
        ),
        (
            "spinelift_result_cache_requests_total",
            vec![("result", "miss")],
            1.0,
        ),
        (
            "spinelift_callback_attempts_total",
            vec![("outcome", "rejected")],
            0.0,
        ),
        (
            "spinelift_http_errors_total",
            vec![("code", "QUEUE_FULL")],
            1.0,
        ),
        (
            "spinelift_http_errors_total",
            vec![("code", "VALIDATION_ERROR")],
            1.0,
        ),
        (
            "spinelift_http_errors_total",
            vec![("code", "INVALID_JSON")],
            1.0,
        ),
        (
            "spinelift_http_errors_total",
            vec![("code", "NOT_FOUND")],
            1.0,
        ),
        (
            "spinelift_http_errors_total",
            vec![("code", "INTERNAL_ERROR")],
            0.0,
        ),
        (
            "spinelift_http_requests_total",
            vec![("method", "POST"), generate, ("status", "202")],
            7.0,
        ),
        (
            "spinelift_http_requests_total",
            vec![("method", "POST"), generate, ("status", "422")],
            1.0,
        ),
        ("spinelift_http_connections_capacity", vec![], 800.0),
        (
            "spinelift_build_info",
            vec![("version", env!("CARGO_PKG_VERSION")), ("algorithm", "1")],
            1.0,
        ),
    ] {
        assert_eq!(seen.value(name, &labels), value, "{name} {labels:?}");
    }
    for (name, labels, count) in [
        (
            "spinelift_job_duration_seconds",
            vec![("outcome", "completed")],
            1.0,
        ),
        (
            "spinelift_job_duration_seconds",
            vec![("outcome", "cached")],
            1.0,
        ),
        (
            "spinelift_job_duration_seconds",
            vec![("outcome", "failed")],
            3.0,
        ),
        ("spinelift_queue_wait_seconds", vec![], 6.0),
        ("spinelift_image_bytes", vec![], 2.0),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "download")],
            5.0,
        ),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "wait_same")],
            2.0,
        ),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "wait_core")],
            1.0,
        ),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "load_image")],
            1.0,
        ),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "triangulate_mesh")],
            1.0,
        ),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "finalize")],
            1.0,
        ),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "store")],
            1.0,
        ),
        (
            "spinelift_stage_duration_seconds",
            vec![("stage", "record")],
            5.0,
        ),
        ("spinelift_callback_duration_seconds", vec![], callbacks),
        (
            "spinelift_http_request_duration_seconds",
            vec![("method", "POST"), generate],
            10.0,
        ),
    ] {
        assert_eq!(seen.count(name, &labels), count, "{name} {labels:?}");
    }
    assert!(seen.value("spinelift_queue_oldest_age_seconds", &[]) > 0.0);
    assert!(seen.value("spinelift_http_connections", &[]) >= 1.0);
    origin.open_gate();
    service.ended("waiting").await;
    wait_for_value(&service, "spinelift_jobs_running", &[], 0.0).await;
    wait_for_value(&service, "spinelift_downloads_in_progress", &[], 0.0).await;
    wait_for_value(&service, "spinelift_queue_jobs", &[], 0.0).await;
}

#[tokio::test]
async fn every_metric_is_explained_and_documented_and_no_client_can_make_more() {
    let service = TestService::start().await;
    let strange = service.request("BREW", "/api/v1/mesh/generate");
    service.send(strange).await;
    for number in 0..20 {
        service.get(&format!("/nothing/{number}")).await;
        service.status(&format!("job-{number}")).await;
    }
    let labels = [("method", "GET"), ("route", "none"), ("status", "404")];
    wait_for_value(&service, "spinelift_http_requests_total", &labels, 20.0).await;
    let seen = Exposition::of(&service).await;
    let types = seen.types();
    // What the process takes is known on Linux only.
    let here = |name: &str| cfg!(target_os = "linux") || !name.starts_with("process_");
    let expected: Vec<_> = METRICS.iter().filter(|spec| here(spec.name)).collect();
    for spec in &expected {
        assert_eq!(
            types.get(spec.name),
            Some(&spec.kind.name()),
            "{}",
            spec.name
        );
        let help = format!("# HELP {} {}\n", spec.name, spec.meaning);
        assert!(seen.text.contains(&help), "{}", spec.name);
    }
    assert_eq!(types.len(), expected.len(), "{types:?}");
    for sample in &seen.scrape.samples {
        for (name, value) in sample.labels.iter() {
            let path = value.starts_with("/nothing") || value.contains("job-");
            assert!(!path && value != "BREW", "{} {name}={value}", sample.metric);
        }
    }
    let strange = [
        ("method", "other"),
        ("route", "/api/v1/mesh/generate"),
        ("status", "405"),
    ];
    assert_eq!(seen.value("spinelift_http_requests_total", &strange), 1.0);
}

#[tokio::test]
async fn metrics_are_for_those_with_a_key_and_each_service_has_its_own() {
    let key = "0123456789abcdef";
    let closed = TestService::start_with(|s| s.api_keys = ApiKeys::parse(key).unwrap()).await;
    assert_eq!(closed.get("/metrics").await.status, 401);
    let request = closed.request("GET", "/metrics").bearer_auth(key);
    assert_eq!(closed.send(request).await.status, 200);
    let other = TestService::start().await;
    let text = Exposition::of(&other).await.text;
    assert!(!text.contains("UNAUTHORIZED"), "that was another service");
}

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

/// The names of metrics in a query or a text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c));
    words
        .filter(|word| word.starts_with("spinelift_") || word.starts_with("process_"))
        .collect()
}

/// The names of all series that a service exposes, `_bucket` and the like included.
async fn exposed() -> BTreeSet<String> {
    let service = TestService::start().await;
    service.get("/health").await;
    let labels = [("method", "GET"), ("route", "/health"), ("status", "200")];
    wait_for_value(&service, "spinelift_http_requests_total", &labels, 1.0).await;
    let text = Exposition::of(&service).await.text;
    let series = text.lines().filter(|line| !line.starts_with('#'));
    series
        .filter_map(|line| line.split(['{', ' ']).next())
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn the_dashboard_asks_for_metrics_that_exist() {
    let text = fs::read_to_string(file("deploy/grafana/spinelift-mesh.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&text).unwrap();
    let variables = dashboard["templating"]["list"].as_array().unwrap();
    let source = variables
        .iter()
        .find(|v| v["type"] == "datasource")
        .unwrap();
    let source = format!("${{{}}}", source["name"].as_str().unwrap());
    let exposed = exposed().await;
    let mut used = BTreeSet::new();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        if panel["type"] == "row" {
            continue;
        }
        assert_eq!(panel["datasource"]["uid"], source, "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert!(!names(query).is_empty(), "{query}");
            used.extend(names(query).into_iter().map(str::to_owned));
        }
    }
    let unknown: Vec<_> = used.difference(&exposed).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    for spec in METRICS {
        let shown = used.iter().any(|name| name.starts_with(spec.name));
        assert!(shown, "{} is not shown", spec.name);
    }
}

#[tokio::test]
async fn the_alerts_ask_for_metrics_that_exist() {
    let text = fs::read_to_string(file("deploy/prometheus/alerts.yaml")).unwrap();
    let exposed = exposed().await;
    let used = names(&text);
    let unknown: Vec<_> = used
        .iter()
        .filter(|name| !exposed.contains(**name))
        .collect();
    assert!(unknown.is_empty(), "{unknown:?}");
    let alerts = text
        .lines()
        .filter(|line| line.trim().starts_with("- alert: "));
    let operations = fs::read_to_string(file("docs/OPERATIONS.md")).unwrap();
    let mut count = 0;
    for alert in alerts {
        let name = alert.trim().strip_prefix("- alert: ").unwrap();
        assert!(operations.contains(&format!("`{name}`")), "{name}");
        count += 1;
    }
    assert_eq!(count, text.matches("expr:").count());
    assert!(count >= 5);
}

#[test]
fn what_every_node_tells_of_all_is_never_added_up() {
    let shared = METRICS
        .iter()
        .filter(|spec| spec.meaning.ends_with("take the largest."));
    let mut count = 0;
    for spec in shared {
        for place in [
            "deploy/grafana/spinelift-mesh.json",
            "deploy/prometheus/alerts.yaml",
        ] {
            let text = fs::read_to_string(file(place)).unwrap();
            // What stands before the name: `sum(`, or `sum by (job) (`.
            let mut before = text.split(spec.name).collect::<Vec<_>>();
            before.pop();
            for text in before {
                let function = text.trim_end_matches([' ', '\n', '(']);
                let function = match function.strip_suffix(')') {
                    Some(grouped) => grouped.rsplit_once(" by (").unwrap().0,
                    None => function,
                };
                assert!(!function.ends_with("sum"), "{place}: {}", spec.name);
            }
        }
        count += 1;
    }
    assert_eq!(count, 4);
}

#[test]
fn the_metrics_are_documented_as_they_are() {
    const BEGIN: &str = "<!-- metrics: made from the code -->\n";
    const END: &str = "<!-- end of metrics -->\n";
    let path = file("docs/OPERATIONS.md");
    let text = fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let expected = format!("{before}{BEGIN}{}{END}{after}", documentation());
    if std::env::var_os("UPDATE_DOCUMENTS").is_some() {
        fs::write(&path, &expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap();
    assert_eq!(found, expected, "run the tests with UPDATE_DOCUMENTS=1");
}
