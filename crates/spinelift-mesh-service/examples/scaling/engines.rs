//! The engine by itself: many of them in this process, whose workers end every job at once.

use crate::durable_redis;
use crate::redis_costs::RedisCosts;
use crate::redis_server::RedisServer;
use crate::table::{Table, count_of_nodes, each, quantile};
use spinelift_mesh::MeshParameters;
use spinelift_mesh_service::RedactedUrl;
use spinelift_mesh_service::engine::redis::{Options, RedisEngine, RedisUrl};
use spinelift_mesh_service::engine::{
    Attempt, Bounds, Claim, JobEngine, NewJob, Next, Outbox, Outcome, ResultIndex, ResultKey,
    ResultObject, StoredResult, Turn, Work,
};
use spinelift_mesh_service::job::{JobId, JobRequest, Progress, Source};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Jobs at full load.
const JOBS: usize = 10_000;

/// Jobs a second in a crowd, so few that almost all nodes rest.
const PACE: usize = 100;

/// What a job asks of its engine.
#[derive(Clone, Copy)]
enum Asks {
    /// To be accepted, begun and ended.
    Little,
    /// All that it does in the service, but for reading its status.
    All,
}

/// Jobs of a crowd.
const CROWD_JOBS: usize = 1000;

/// Engines, and the jobs that were accepted and have not ended.
struct Crowd {
    engines: Vec<Arc<RedisEngine>>,
    asks: Asks,
    accepted: Arc<Mutex<HashMap<JobId, Instant>>>,
    workers: JoinSet<()>,
}

impl Crowd {
    /// Each engine has so many workers, which tell how long a job has waited for one, and end it.
    async fn new(
        server: &RedisServer,
        engines: usize,
        workers: usize,
        asks: Asks,
        waits: UnboundedSender<Duration>,
    ) -> Self {
        let mut crowd = Self {
            engines: Vec::new(),
            asks,
            accepted: Arc::default(),
            workers: JoinSet::new(),
        };
        for _ in 0..engines {
            let engine = Arc::new(RedisEngine::open(options(server)).await.unwrap());
            for _ in 0..workers {
                let work = work(
                    Arc::clone(&engine),
                    asks,
                    Arc::clone(&crowd.accepted),
                    waits.clone(),
                );
                crowd.workers.spawn(work);
                if matches!(asks, Asks::All) {
                    crowd.workers.spawn(tell(Arc::clone(&engine)));
                }
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
        while let Err(error) = engine.accept(job(id.clone(), self.asks)).await {
            eprintln!("{id} is not accepted: {error}");
        }
    }

    async fn close(self) {
        for engine in &self.engines {
            engine.stop_claiming();
            engine.finish_due();
        }
        self.workers.join_all().await;
        for engine in &self.engines {
            engine.close().await;
        }
    }
}

async fn work(
    engine: Arc<RedisEngine>,
    asks: Asks,
    accepted: Arc<Mutex<HashMap<JobId, Instant>>>,
    waits: UnboundedSender<Duration>,
) {
    loop {
        let (claim, lane) = match engine.claim().await {
            Ok(Some(claimed)) => claimed,
            Ok(None) => return,
            Err(error) => {
                eprintln!("nothing can be begun: {error}");
                continue;
            }
        };
        drop(lane);
        let since = accepted.lock().unwrap().remove(&claim.job.id);
        let waited = since.map(|since| since.elapsed());
        let image: [u8; 32] = std::array::from_fn(|_| fastrand::u8(..));
        let key = ResultKey::new(&image, &MeshParameters::default());
        let turn = match asks {
            Asks::Little => None,
            Asks::All => Some(go_through(&engine, &claim, &key).await),
        };
        let name = format!("{}-{:016x}", key.as_str(), fastrand::u64(..));
        let result = StoredResult::New {
            key,
            object: ResultObject::parse(&name).unwrap(),
            bytes: 100,
        };
        let outcome = Outcome::Completed(result);
        while let Err(error) = engine.finish(&claim, outcome.clone()).await {
            eprintln!("{} is not recorded: {error}", claim.job.id);
        }
        drop(turn);
        // Once for each job, though it may be begun again after an outage.
        if let Some(waited) = waited {
            waits.send(waited).unwrap();
        }
    }
}

/// What comes between the beginning and the end of a job: whether there is a result already, the
/// turn to make it, and the progress.
async fn go_through(engine: &RedisEngine, claim: &Claim, key: &ResultKey) -> Turn {
    let turn = engine.turn(&Work::Result(key.clone())).await;
    // Without an answer there is none.
    let _ = engine.cached(key).await;
    for percent in [10, 20, 30, 40, 50, 70, 85, 95] {
        let message = Cow::Borrowed("On the way");
        engine.report(claim, Progress { percent, message });
    }
    turn
}

/// Tells the ends, to nobody.
async fn tell(engine: Arc<RedisEngine>) {
    loop {
        let (delivery, _lane) = match engine.due().await {
            Ok(Some(due)) => due,
            Ok(None) => return,
            Err(error) => {
                eprintln!("nothing can be told: {error}");
                continue;
            }
        };
        let attempt = Attempt {
            at: chrono::Utc::now(),
            took: Duration::from_millis(1),
            status: Some(204),
            error: None,
        };
        let recorded = engine.attempted(&delivery, attempt, Next::Delivered).await;
        if let Err(error) = recorded {
            eprintln!("that one was told is not recorded: {error}");
        }
    }
}

fn options(server: &RedisServer) -> Options {
    Options {
        url: RedisUrl::parse(&server.url()).unwrap(),
        authorities: None,
        namespace: "scaling".into(),
        node: None,
        lease: Duration::from_secs(15),
        works: true,
        signing: None,
        bounds: Bounds {
            queue_length: 1_000_000,
            jobs_per_client: 1_000_000,
            lanes: 1000,
            client_lanes: 1000,
            delivery_lanes: 1000,
            attempts: 3,
        },
    }
}

fn job(id: JobId, asks: Asks) -> NewJob {
    let parsed = |text: &str| RedactedUrl::new(text.parse().unwrap());
    let url = "https://images.example/sprites/hero-0001.png";
    NewJob {
        id,
        request: JobRequest {
            source: Source::Url(parsed(url)),
            parameters: MeshParameters::default(),
            callback_url: match asks {
                Asks::Little => None,
                Asks::All => Some(parsed("https://receiver.example/callback")),
            },
        },
        base_url: "https://mesh.example".into(),
        client: "client".into(),
        request_id: None,
    }
}

/// How many jobs one server carries, if nothing is done in them.
pub(crate) async fn measure_at_full_load() {
    let mut table = Table::default();
    for (name, asks) in [
        ("accepted, begun, ended", Asks::Little),
        ("with all that a job asks of Redis", Asks::All),
    ] {
        for workers in [16, 64, 256] {
            table.column(
                &format!("{name}: {} at a time", 2 * workers),
                at_full_load(workers, asks).await,
            );
        }
    }
    table.print(&format!(
        "{JOBS} jobs in which nothing is computed, 2 engines:"
    ));
}

async fn at_full_load(workers: usize, asks: Asks) -> Vec<(String, String)> {
    let server = durable_redis().await;
    let (waits, mut ended) = unbounded_channel();
    let crowd = Arc::new(Crowd::new(&server, 2, workers, asks, waits).await);
    let (before, began) = (RedisCosts::of(&server).await, Instant::now());
    let next = Arc::new(AtomicUsize::new(0));
    let mut clients = JoinSet::new();
    for _ in 0..workers {
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
    while crowd.engines[0].undelivered().await != Ok(0)
        || crowd.engines[1].undelivered().await != Ok(0)
    {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let redis = RedisCosts::of(&server).await.since(&before);
    let jobs = JOBS as f64;
    // As if their time were over.
    let before = RedisCosts::of(&server).await;
    let later = chrono::Utc::now() + chrono::TimeDelta::hours(1);
    while crowd.engines[0].expire(later).await.unwrap().gone > 0 {}
    let expiry = RedisCosts::of(&server).await.since(&before);
    let row = |name: &str, cell: String| (name.to_owned(), cell);
    let rows = vec![
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
        row(
            "CPU of Redis to forget it (ms)",
            each(expiry.cpu * 1000.0, jobs, 3),
        ),
        row(
            "bytes to Redis' log to forget it",
            each(expiry.log, jobs, 0),
        ),
    ];
    if let Some(crowd) = Arc::into_inner(crowd) {
        crowd.close().await;
    }
    rows
}

/// What nodes that rest cost each job.
pub(crate) async fn measure_crowds() {
    let mut table = Table::default();
    for engines in [10, 50, 100, 200] {
        let server = durable_redis().await;
        let (waits, mut ended) = unbounded_channel();
        let crowd = Crowd::new(&server, engines, 1, Asks::Little, waits).await;
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
            &count_of_nodes(engines),
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
