//! Several services that share their jobs through Redis, and a folder.

use crate::harness::{Answer, Log, Origin, Receiver, RedisServer, TestService, disc, eventually};
use crate::upload::upload_to;
use axum::response::Response;
use serde_json::{Value, json};
use spinelift_mesh_service::engine::redis::RedisUrl;
use spinelift_mesh_service::settings::{JobBackend, Role};
use spinelift_mesh_service::{ApiKeys, Secret, Settings};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// What the services of a test share.
struct Cluster {
    server: RedisServer,
    directory: Arc<TempDir>,
    namespace: String,
}

impl Cluster {
    async fn of(server: RedisServer) -> Self {
        Self {
            server,
            directory: Arc::new(TempDir::new().unwrap()),
            namespace: format!("test-{:016x}", fastrand::u64(..)),
        }
    }

    async fn new() -> Self {
        Self::of(RedisServer::shared().await).await
    }

    async fn node(&self, role: Role) -> TestService {
        self.node_with(role, |_| {}).await
    }

    async fn node_with(&self, role: Role, change: impl FnOnce(&mut Settings)) -> TestService {
        TestService::start_in(Arc::clone(&self.directory), |settings| {
            settings.job_backend = JobBackend::Redis;
            settings.redis_url = RedisUrl::parse(&self.server.url()).unwrap();
            settings.redis_namespace.clone_from(&self.namespace);
            // A slow machine is not to be taken for a dead node.
            settings.job_lease = Duration::from_secs(8);
            settings.role = role;
            change(settings);
        })
        .await
    }
}

#[tokio::test]
async fn one_accepts_another_works_and_all_answer() {
    let (cluster, origin) = (Cluster::new().await, Origin::start().await);
    let receiver = Receiver::start(async |_| Response::default()).await;
    let api = cluster.node(Role::Api).await;
    let metrics = api.request("GET", "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("\nspinelift_job_slots 0\n"), "{metrics}");
    let waiting = api
        .generate(
            &json!({ "image_url": origin.url("/disc.png"), "job_id": "a",
            "callback_url": receiver.url() }),
        )
        .await;
    assert_eq!(waiting.status, 202);
    let worker = cluster.node(Role::Worker).await;
    let both = cluster.node(Role::All).await;
    assert_eq!(api.ended("a").await["status"], "completed");
    for node in [&api, &both] {
        assert_eq!(node.result("a").await.status, 200);
    }
    receiver.told(1).await;
    let refused = worker.status("a").await;
    assert_eq!((refused.status, refused.code()), (404, "NOT_FOUND"));
    let text = refused.body["error"]["message"].as_str().unwrap();
    assert!(text.contains("ROLE=worker"), "{text}");
    for path in ["/health", "/health/ready", "/health/live", "/metrics"] {
        assert_eq!(worker.get(path).await.status, 200, "{path}");
    }
    let deleted = both.request("DELETE", "/api/v1/mesh/a");
    assert_eq!(both.send(deleted).await.status, 204);
    assert_eq!(api.status("a").await.status, 404);
}

#[tokio::test]
async fn who_only_accepts_says_when_nobody_works_and_accepts_all_the_same() {
    let log = Log::keep();
    let (cluster, origin) = (Cluster::new().await, Origin::start().await);
    let name = "accepts-alone";
    let lease = Duration::from_secs(2);
    let api = cluster
        .node_with(Role::Api, |settings| {
            settings.node_name = Some(name.into());
            settings.job_lease = lease;
        })
        .await;
    let note =
        || async { api.get("/health/ready").await.body["checks"]["workers"]["note"].clone() };
    eventually("it says that nobody works", || async {
        note().await.as_str()?.contains("ROLE=worker").then_some(())
    })
    .await;
    assert_eq!(api.get("/health/ready").await.status, 200);
    api.accept("waits", &origin.url("/disc.png")).await;
    let worker = cluster
        .node_with(Role::Worker, |settings| settings.job_lease = lease)
        .await;
    assert_eq!(api.ended("waits").await["status"], "completed");
    eventually("it knows of the worker", || async {
        note().await.is_null().then_some(())
    })
    .await;
    worker.stop().await;
    eventually("it says so once more", || async {
        note().await.is_string().then_some(())
    })
    .await;
    let text = log.text();
    let said = |what: &str| {
        let lines = text.lines().filter(|line| line.contains(name));
        lines.filter(|line| line.contains(what)).count()
    };
    let again = said("a node that runs jobs is alive again");
    assert!(again >= 1);
    // Not once more as long as nothing changes.
    assert_eq!(said("no node that runs jobs is alive"), again + 1);
}

#[tokio::test]
async fn who_signs_with_another_key_than_a_node_that_runs_says_so() {
    let log = Log::keep();
    let cluster = Cluster::new().await;
    let node = async |name: &str, key: Option<&str>| {
        let change = |settings: &mut Settings| {
            settings.api_keys = ApiKeys::parse("0123456789abcdef").unwrap();
            settings.node_name = Some(name.to_owned());
            settings.url_signing_key = key.map(Secret::new);
        };
        cluster.node_with(Role::All, change).await
    };
    let [one, other] = [Some("a key of 16 bytes"), Some("another, as long")];
    let _running = [
        node("signs-first", one).await,
        node("signs-alike", one).await,
        node("signs-otherwise", other).await,
        node("signs-by-itself", None).await,
    ];
    let text = log.text();
    let lines = text.lines().filter(|line| line.contains("URL_SIGNING_KEY"));
    let warnings = lines.map(|line| serde_json::from_str::<Value>(line).unwrap());
    let warnings: Vec<_> = warnings
        .map(|warning| {
            (
                warning["fields"]["node"].clone(),
                warning["fields"]["nodes"].clone(),
            )
        })
        .filter(|(node, _)| node.as_str().is_some_and(|node| node.starts_with("signs-")))
        .collect();
    let expected = [("signs-otherwise", 2), ("signs-by-itself", 3)];
    assert_eq!(
        warnings,
        expected.map(|(node, nodes)| (json!(node), json!(nodes)))
    );
    assert!(!text.contains("a key of 16") && !text.contains("another, as long"));
}

#[tokio::test]
async fn an_image_that_was_uploaded_to_one_is_loaded_by_another() {
    let cluster = Cluster::new().await;
    let api = cluster.node(Role::Api).await;
    let _worker = cluster.node(Role::Worker).await;
    let answer = upload_to(&api, "", &[("file", &disc(64)), ("job_id", b"u")]).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(api.ended("u").await["status"], "completed");
    assert_eq!(api.result("u").await.status, 200);
}

#[tokio::test]
async fn what_two_are_asked_for_at_once_is_made_once() {
    let (cluster, origin) = (Cluster::new().await, Origin::start().await);
    let few = |settings: &mut Settings| {
        // Neither can have both jobs.
        settings.max_concurrent_downloads = 1.try_into().unwrap();
    };
    let nodes = [
        cluster.node_with(Role::All, few).await,
        cluster.node_with(Role::All, few).await,
    ];
    for (name, node) in ["a", "b"].into_iter().zip(&nodes) {
        node.accept(name, &origin.url("/large.png")).await;
    }
    let ended = [nodes[0].ended("a").await, nodes[0].ended("b").await];
    let cached = ended.iter().filter(|body| body["cached"] == true).count();
    assert_eq!(cached, 1, "{ended:?}");
}

#[tokio::test]
async fn without_its_server_a_node_says_so_and_recovers_by_itself() {
    let log = Log::keep();
    let durable = ["--appendonly", "yes", "--appendfsync", "always"];
    let server = RedisServer::start(&durable).await;
    let (cluster, origin) = (Cluster::of(server.clone()).await, Origin::start().await);
    let node = cluster.node(Role::All).await;
    node.accept("hangs", &origin.url("/gated.png")).await;
    node.running("hangs").await;
    server.kill();
    let unready = eventually("it is not ready", || async {
        let answer = node.get("/health/ready").await;
        (answer.status == 503).then_some(answer)
    })
    .await;
    let reason = unready.body["checks"]["jobs"]["reason"].as_str().unwrap();
    assert!(reason.contains("REDIS_URL"), "{reason}");
    assert_eq!(node.get("/health/live").await.status, 200);
    assert_eq!(node.get("/metrics").await.status, 200);
    let body = json!({ "image_url": origin.url("/disc.png"), "job_id": "b" });
    let refused = node.generate(&body).await;
    assert_eq!(
        (refused.status, refused.code()),
        (503, "STORAGE_UNAVAILABLE")
    );
    assert!(refused.headers.contains_key("retry-after"));
    let message = |answer: &Answer| answer.body["error"]["message"].as_str().unwrap().to_owned();
    assert!(message(&refused).contains("nothing was accepted"));
    let read = node.status("hangs").await;
    assert_eq!((read.status, read.code()), (503, "STORAGE_UNAVAILABLE"));
    assert!(!message(&read).contains("accepted"), "{}", message(&read));
    let said = || {
        let text = log.text();
        let lines = text.lines().filter(|line| line.contains(&server.url()));
        let lines = lines.filter(|line| line.contains("no job could be started"));
        lines.count()
    };
    eventually("it says where no job can be had", || async {
        (said() > 0).then_some(())
    })
    .await;
    server.run().await;
    eventually("it is ready", || async {
        (node.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
    assert_eq!(node.generate(&body).await.status, 202);
    origin.open_gate();
    assert_eq!(node.ended("hangs").await["attempts"], 1);
    assert_eq!(node.ended("b").await["status"], "completed");
    assert_eq!(said(), 1, "not with every try");
}

#[tokio::test]
async fn all_restart_one_after_the_other_and_nothing_is_lost() {
    let (cluster, origin) = (Cluster::new().await, Origin::start().await);
    let receiver = Receiver::start(async |_| Response::default()).await;
    let mut nodes = vec![cluster.node(Role::All).await, cluster.node(Role::All).await];
    for round in 0..4 {
        for number in 0..10 {
            let id = format!("{round}-{number}");
            let body = json!({ "image_url": origin.url("/disc.png"), "job_id": id,
                "callback_url": receiver.url() });
            assert_eq!(nodes[number % 2].generate(&body).await.status, 202);
        }
        let next = cluster.node(Role::All).await;
        nodes.remove(0).stop().await;
        nodes.push(next);
    }
    for round in 0..4 {
        for number in 0..10 {
            let ended = nodes[0].ended(&format!("{round}-{number}")).await;
            assert_eq!(ended["status"], "completed", "{ended}");
        }
    }
    receiver.told(40).await;
    let ends = receiver.received().into_iter().filter(|r| r.is_end());
    let mut ids: Vec<_> = ends.map(|end| end.id().to_owned()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}
