//! The program under load, at rest, and with many jobs that wait or are kept.

use crate::counted_s3::CountedS3;
use crate::durable_redis;
use crate::neighbours::{self, Seen};
use crate::nodes::Node;
use crate::redis_costs::RedisCosts;
use crate::redis_server::RedisServer;
use crate::table::{Table, count_of_nodes, each};
use crate::usage::Usage;
use reqwest::Client;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Jobs of one measurement.
const JOBS: usize = 2000;

/// How many are posted before anything is measured.
const WARM_UP: usize = 200;

/// How many are under way at a time.
const IN_FLIGHT: usize = 32;

/// Jobs that wait, and are kept after their end.
const KEPT: usize = 5000;

/// How long nodes are watched that have nothing to do.
const REST: Duration = Duration::from_secs(20);

/// Nodes, what they share, and who is around them.
pub(crate) struct World {
    // Before the servers that they use, so that they can give back what they have.
    pub(crate) nodes: Vec<Node>,
    pub(crate) redis: Option<RedisServer>,
    pub(crate) s3: Option<CountedS3>,
    pub(crate) seen: Arc<Seen>,
    here: String,
    environment: Vec<(&'static str, String)>,
    program: String,
    http: Client,
}

impl World {
    async fn new(program: &str, redis: bool, s3: bool) -> Self {
        let (here, seen) = neighbours::start().await;
        let mut environment = Vec::new();
        let redis = match redis {
            true => Some(durable_redis().await),
            false => None,
        };
        if let Some(server) = &redis {
            environment.push(("JOB_BACKEND", "redis".to_owned()));
            environment.push(("REDIS_URL", server.url()));
        }
        let s3 = match s3 {
            true => Some(CountedS3::start().await),
            false => None,
        };
        if let Some(s3) = &s3 {
            environment.push(("STORAGE_BACKEND", "s3".to_owned()));
            environment.push(("S3_ENDPOINT", s3.endpoint.clone()));
            environment.push(("S3_BUCKET", s3.server.bucket.clone()));
            environment.push(("S3_REGION", s3.server.region.clone()));
            environment.push(("AWS_ACCESS_KEY_ID", s3.server.key_id.clone()));
            environment.push(("AWS_SECRET_ACCESS_KEY", s3.server.secret.clone()));
        }
        Self {
            nodes: Vec::new(),
            redis,
            s3,
            seen,
            here,
            environment,
            program: program.to_owned(),
            http: Client::builder().no_proxy().build().unwrap(),
        }
    }

    fn add(&mut self, role: &str) {
        let mut environment = self.environment.clone();
        if self.redis.is_some() {
            environment.push(("ROLE", role.to_owned()));
        }
        let node = Node::start(&self.program, &self.here, &environment);
        self.nodes.push(node);
    }

    async fn of(program: &str, nodes: usize, redis: bool, s3: bool) -> Self {
        let mut world = Self::new(program, redis, s3).await;
        for _ in 0..nodes {
            world.add("all");
        }
        world
    }

    /// Posts a job to one of the nodes by turns. Jobs of one `subject` have one result.
    async fn post(&self, id: &str, subject: usize, turn: usize) {
        let node = &self.nodes[turn % self.nodes.len()];
        let body = json!({
            "image_url": format!("http://{}/sprite/{subject}", self.here),
            "callback_url": format!("http://{}/callback", self.here),
            "job_id": id,
            // Means nothing without interior vertices, but is another request.
            "parameters": { "density_scaling_factor": 100.0 + subject as f64 / 1000.0 },
        });
        loop {
            let request = self
                .http
                .post(format!("{}/api/v1/mesh/generate", node.base))
                .body(body.to_string());
            let answer = request.send().await.unwrap();
            match answer.status().as_u16() {
                202 => return,
                // A disk that stands still for seconds, say: the figures show it.
                503 => eprintln!("{id}: {}", answer.text().await.unwrap()),
                other => panic!("{id}: {other}: {:?}", answer.text().await),
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Has jobs done, so many at a time; the milliseconds from each accept to its told end.
    async fn run(
        self: &Arc<Self>,
        name: &'static str,
        subjects: Arc<[usize]>,
        in_flight: usize,
    ) -> Vec<f64> {
        let next = Arc::new(AtomicUsize::new(0));
        let clients = (0..in_flight).map(|_| {
            let (world, next) = (Arc::clone(self), Arc::clone(&next));
            let subjects = Arc::clone(&subjects);
            tokio::spawn(async move {
                let mut milliseconds = Vec::new();
                loop {
                    let turn = next.fetch_add(1, Relaxed);
                    let Some(subject) = subjects.get(turn) else {
                        return milliseconds;
                    };
                    let id = format!("{name}-{turn}");
                    let end = world.seen.end_of(&id);
                    world.post(&id, *subject, turn).await;
                    let accepted = Instant::now();
                    let end = tokio::time::timeout(Duration::from_secs(300), end).await;
                    assert!(end.expect("every end is told").unwrap(), "{id} failed");
                    milliseconds.push(accepted.elapsed().as_secs_f64() * 1000.0);
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut all = Vec::new();
        for client in clients {
            all.extend(client.await.unwrap());
        }
        all.sort_by(f64::total_cmp);
        all
    }
}

/// The costs of jobs, all of which are new, half of which are repeats, and one at a time.
pub(crate) async fn measure(program: &str) {
    let setups = [
        ("embedded, folder", 1, false, false),
        ("embedded, S3", 1, false, true),
        ("Redis, S3, 1 node", 1, true, true),
        ("2 nodes", 2, true, true),
        ("4 nodes", 4, true, true),
    ];
    let (mut new, mut repeated, mut single) =
        (Table::default(), Table::default(), Table::default());
    let mut commands = Table::default();
    for (name, nodes, redis, s3) in setups {
        let world = Arc::new(World::of(program, nodes, redis, s3).await);
        let warm_up = (0..WARM_UP).map(|n| 1_000_000 + n).collect();
        world.run("warm", warm_up, IN_FLIGHT).await;

        let before = Usage::of(&world).await;
        let times = world.run("new", (0..JOBS).collect(), IN_FLIGHT).await;
        let after = Usage::of(&world).await;
        new.column(name, after.rows_since(&before, JOBS as f64, &times));
        if let Some(redis) = after.redis_since(&before) {
            commands.column(name, by_name(&redis, JOBS as f64));
        }

        // Every other one was there before.
        let subjects = (0..JOBS).map(|n| if n % 2 == 0 { n } else { JOBS + n });
        let before = Usage::of(&world).await;
        let times = world.run("half", subjects.collect(), IN_FLIGHT).await;
        let after = Usage::of(&world).await;
        repeated.column(name, after.rows_since(&before, JOBS as f64, &times));

        let subjects = (0..WARM_UP).map(|n| 2_000_000 + n);
        let before = Usage::of(&world).await;
        let times = world.run("single", subjects.collect(), 1).await;
        let after = Usage::of(&world).await;
        single.column(name, after.rows_since(&before, WARM_UP as f64, &times));
        let resident: Vec<_> = world.nodes.iter().map(Node::resident).collect();
        eprintln!("{name}: resident MiB {resident:.0?}");
    }
    new.print(&format!(
        "{JOBS} different jobs, {IN_FLIGHT} at a time; for each job:"
    ));
    commands.print("commands to Redis for each of these, those in scripts included:");
    repeated.print(&format!(
        "{JOBS} jobs of which half were there before; for each:"
    ));
    single.print(&format!(
        "{WARM_UP} different jobs, one at a time; for each:"
    ));
}

fn by_name(redis: &RedisCosts, jobs: f64) -> Vec<(String, String)> {
    let mut all: Vec<_> = redis.commands.iter().collect();
    all.sort_by_key(|(_, calls)| std::cmp::Reverse(**calls));
    all.into_iter()
        .map(|(name, calls)| (format!("`{name}`"), each(*calls as f64, jobs, 2)))
        .collect()
}

/// The costs of nodes that have nothing to do.
pub(crate) async fn measure_idle(program: &str) {
    let mut table = Table::default();
    for nodes in [1, 2, 4] {
        let world = World::of(program, nodes, true, true).await;
        // What a start costs is over.
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = Usage::of(&world).await;
        tokio::time::sleep(REST).await;
        let after = Usage::of(&world).await;
        let redis = after.redis_since(&before).unwrap();
        let seconds = after.elapsed_since(&before).as_secs_f64();
        let number = seconds * nodes as f64;
        let row = |name: &str, cell: String| (name.to_owned(), cell);
        let resident: f64 = world.nodes.iter().map(Node::resident).sum();
        table.column(
            &count_of_nodes(nodes),
            vec![
                row(
                    "CPU of a node (ms/s)",
                    each(after.cpu_since(&before) * 1000.0, number, 2),
                ),
                row("memory of a node (MiB)", each(resident, nodes as f64, 0)),
                row("CPU of Redis (ms/s)", each(redis.cpu * 1000.0, number, 3)),
                row("scripts/s", each(redis.scripts() as f64, number, 2)),
                row("commands/s in them", each(redis.calls() as f64, number, 1)),
                row("bytes/s to Redis", each(redis.received, number, 0)),
                row("bytes/s from Redis", each(redis.sent, number, 0)),
                row("bytes/s to Redis' log", each(redis.log, number, 0)),
            ],
        );
    }
    table.print("nodes that have nothing to do; for each node:");
}

/// What jobs take of Redis' memory, first while they wait, then after their end.
pub(crate) async fn measure_kept(program: &str) {
    let mut world = World::new(program, true, true).await;
    world.add("api");
    let server = world.redis.clone().unwrap();
    let before = RedisCosts::of(&server).await;
    let ids: Vec<_> = (0..KEPT).map(|n| format!("kept-job-{n:08}")).collect();
    let ends: Vec<_> = ids.iter().map(|id| world.seen.end_of(id)).collect();
    for (n, id) in ids.iter().enumerate() {
        world.post(id, n, 0).await;
    }
    let waiting = RedisCosts::of(&server).await;
    world.add("worker");
    for end in ends {
        let end = tokio::time::timeout(Duration::from_secs(300), end).await;
        assert!(end.expect("every end is told").unwrap());
    }
    // Until it is recorded that the last was told.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let kept = RedisCosts::of(&server).await;
    let mut table = Table::default();
    let bytes = |now: &RedisCosts| each(now.since(&before).memory, KEPT as f64, 0);
    table.column(
        "bytes of memory for each job",
        vec![
            ("while it waits".to_owned(), bytes(&waiting)),
            ("after its end, which was told".to_owned(), bytes(&kept)),
        ],
    );
    table.print(&format!("{KEPT} jobs in Redis:"));
}
