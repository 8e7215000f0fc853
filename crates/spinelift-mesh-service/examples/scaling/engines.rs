//! The engine by itself: many of them in this process, whose workers end every job at once.

use crate::durable_redis;
use crate::redis_costs::RedisCosts;
use crate::redis_server::RedisServer;
use crate::table::{Table, each, quantile};
use spinelift_mesh::MeshParameters;
use spinelift_mesh_service::RedactedUrl;
use spinelift_mesh_service::engine::redis::{Options, RedisEngine, RedisUrl};
use spinelift_mesh_service::engine::{
    Accepted, Bounds, JobEngine, NewJob, Outcome, ResultKey, ResultObject, StoredResult,
};
use spinelift_mesh_service::job::{JobId, JobRequest, Source};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Jobs at full load.
const JOBS: usize = 20_000;

/// Jobs a second in a crowd, so few that almost all nodes rest.
const PACE: usize = 100;

/// Jobs of a crowd.
const CROWD_JOBS: usize = 1000;

/// Engines, and the jobs that were accepted and have not ended.
struct Crowd {
    engines: Vec<Arc<RedisEngine>>,
    accepted: Arc<Mutex<HashMap<JobId, Instant>>>,
    workers: JoinSet<()>,
}

impl Crowd {
    /// Each engine has so many workers, which tell how long a job has waited for one, and end it.
    async fn new(
        server: &RedisServer,
        engines: usize,
        workers: usize,
        waits: UnboundedSender<Duration>,
    ) -> Self {
        let mut crowd = Self {
            engines: Vec::new(),
            accepted: Arc::default(),
            workers: JoinSet::new(),
        };
        for _ in 0..engines {
            let engine = Arc::new(RedisEngine::open(options(server)).await.unwrap());
            for _ in 0..workers {
                let work = work(
                    Arc::clone(&engine),
                    Arc::clone(&crowd.accepted),
                    waits.clone(),
                );
                crowd.workers.spawn(work);
            }
            crowd.engines.push(engine);
        }
        crowd
    }

    async fn accept(&self, number: usize) {
        let engine = &self.engines[number % self.engines.len()];
        let id = JobId::parse(&format!("job-{number}")).unwrap();
        self.accepted
            .lock()
            .unwrap()
            .insert(id.clone(), Instant::now());
        let accepted = engine.accept(job(id)).await.unwrap();
        assert!(matches!(accepted, Accepted::Created));
    }

    async fn close(self) {
        for engine in &self.engines {
            engine.stop_claiming();
        }
        self.workers.join_all().await;
        for engine in &self.engines {
            engine.close().await;
        }
    }
}

async fn work(
    engine: Arc<RedisEngine>,
    accepted: Arc<Mutex<HashMap<JobId, Instant>>>,
    waits: UnboundedSender<Duration>,
) {
    while let Some((claim, lane)) = engine.claim().await.unwrap() {
        drop(lane);
        let since = accepted.lock().unwrap().remove(&claim.job.id).unwrap();
        let waited = since.elapsed();
        let key = ResultKey::new(&[0; 32], &MeshParameters::default());
        let name = format!("{}-{:016x}", key.as_str(), fastrand::u64(..));
        let result = StoredResult::New {
            key,
            object: ResultObject::parse(&name).unwrap(),
            bytes: 100,
        };
        engine
            .finish(&claim, Outcome::Completed(result))
            .await
            .unwrap();
        waits.send(waited).unwrap();
    }
}

fn options(server: &RedisServer) -> Options {
    Options {
        url: RedisUrl::parse(&server.url()).unwrap(),
        authorities: None,
        namespace: "scaling".into(),
        node: None,
        lease: Duration::from_secs(15),
        delivers: false,
        bounds: Bounds {
            queue_length: 1_000_000,
            jobs_per_client: 1_000_000,
            lanes: 1000,
            client_lanes: 1000,
            delivery_lanes: 16,
            attempts: 3,
        },
    }
}

fn job(id: JobId) -> NewJob {
    let url = "https://images.example/sprites/hero-0001.png";
    NewJob {
        id,
        request: JobRequest {
            source: Source::Url(RedactedUrl::new(url.parse().unwrap())),
            parameters: MeshParameters::default(),
            callback_url: None,
        },
        base_url: "https://mesh.example".into(),
        client: "client".into(),
        request_id: None,
    }
}

/// How many jobs one server carries, if nothing is done in them.
pub(crate) async fn measure_at_full_load() {
    let server = durable_redis().await;
    let (waits, mut ended) = unbounded_channel();
    let crowd = Arc::new(Crowd::new(&server, 2, 64, waits).await);
    let (before, began) = (RedisCosts::of(&server).await, Instant::now());
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..64 {
        let (crowd, next) = (Arc::clone(&crowd), Arc::clone(&next));
        clients.spawn(async move {
            loop {
                let number = next.fetch_add(1, Relaxed);
                if number >= JOBS {
                    return;
                }
                crowd.accept(number).await;
            }
        });
    }
    for _ in 0..JOBS {
        ended.recv().await.unwrap();
    }
    clients.join_all().await;
    let seconds = began.elapsed().as_secs_f64();
    let redis = RedisCosts::of(&server).await.since(&before);
    let jobs = JOBS as f64;
    let row = |name: &str, cell: String| (name.to_owned(), cell);
    let mut table = Table::default();
    table.column(
        "2 engines, 64 workers each",
        vec![
            row("jobs/s", format!("{:.0}", jobs / seconds)),
            row(
                "share of a core that Redis had",
                format!("{:.2}", redis.cpu / seconds),
            ),
            row(
                "jobs for each second of Redis' CPU",
                format!("{:.0}", jobs / redis.cpu),
            ),
            row(
                "scripts for each job",
                each(redis.scripts() as f64, jobs, 2),
            ),
            row("commands in them", each(redis.calls() as f64, jobs, 1)),
            row("bytes to Redis' log", each(redis.log, jobs, 0)),
        ],
    );
    table.print(&format!(
        "{JOBS} jobs in which nothing is done and of which nobody is told:"
    ));
    if let Some(crowd) = Arc::into_inner(crowd) {
        crowd.close().await;
    }
}

/// What nodes that rest cost each job.
pub(crate) async fn measure_crowds() {
    let mut table = Table::default();
    for engines in [1, 10, 50, 100, 200] {
        let server = durable_redis().await;
        let (waits, mut ended) = unbounded_channel();
        let crowd = Crowd::new(&server, engines, 1, waits).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let rest = rest(&server).await;
        let (before, began) = (RedisCosts::of(&server).await, Instant::now());
        let mut pace = tokio::time::interval(Duration::from_secs(1) / PACE as u32);
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        for number in 0..CROWD_JOBS {
            pace.tick().await;
            crowd.accept(number).await;
        }
        let mut waited = Vec::new();
        for _ in 0..CROWD_JOBS {
            waited.push(ended.recv().await.unwrap().as_secs_f64() * 1000.0);
        }
        waited.sort_by(f64::total_cmp);
        let seconds = began.elapsed().as_secs_f64();
        let redis = RedisCosts::of(&server).await.since(&before);
        let jobs = CROWD_JOBS as f64;
        let row = |name: &str, cell: String| (name.to_owned(), cell);
        let more = |all: f64, at_rest: f64, digits| each(all - at_rest * seconds, jobs, digits);
        table.column(
            &format!("{engines} nodes"),
            vec![
                row(
                    "scripts for each job",
                    more(redis.scripts() as f64, rest.scripts, 1),
                ),
                row(
                    "CPU of Redis for each (ms)",
                    more(redis.cpu * 1000.0, rest.cpu * 1000.0, 3),
                ),
                row("bytes from Redis for each", more(redis.sent, rest.sent, 0)),
                row(
                    "accept to start, median (ms)",
                    format!("{:.1}", quantile(&waited, 0.5)),
                ),
                row(
                    "the same, p95 (ms)",
                    format!("{:.1}", quantile(&waited, 0.95)),
                ),
                row(
                    "CPU of Redis at rest (ms/s)",
                    format!("{:.1}", rest.cpu * 1000.0),
                ),
                row("scripts/s at rest", format!("{:.0}", rest.scripts)),
            ],
        );
        crowd.close().await;
    }
    table.print(&format!(
        "{PACE} jobs a second for nodes that almost all rest, beyond what their rest costs:"
    ));
}

/// What a second of rest costs.
struct Rest {
    scripts: f64,
    cpu: f64,
    sent: f64,
}

async fn rest(server: &RedisServer) -> Rest {
    let (before, began) = (RedisCosts::of(server).await, Instant::now());
    tokio::time::sleep(Duration::from_secs(5)).await;
    let (redis, seconds) = (
        RedisCosts::of(server).await.since(&before),
        began.elapsed().as_secs_f64(),
    );
    Rest {
        scripts: redis.scripts() as f64 / seconds,
        cpu: redis.cpu / seconds,
        sent: redis.sent / seconds,
    }
}
