//! All that is used between two moments, for each job.

use crate::counted_s3::Counts;
use crate::load::World;
use crate::nodes::cpu_of;
use crate::redis_costs::RedisCosts;
use crate::table::{each, quantile};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

pub(crate) struct Usage {
    at: Instant,
    cpu: f64,
    /// CPU of this process: clients, the origin, the receiver, and S3.
    around: f64,
    redis: Option<RedisCosts>,
    s3: Option<Counts>,
    images: u64,
    image_bytes: u64,
    callbacks: u64,
}

impl Usage {
    pub(crate) async fn of(world: &World) -> Self {
        let redis = match &world.redis {
            Some(server) => Some(RedisCosts::of(server).await),
            None => None,
        };
        Self {
            at: Instant::now(),
            cpu: world.nodes.iter().map(|node| node.cpu()).sum(),
            around: cpu_of(std::process::id()),
            redis,
            s3: world.s3.as_ref().map(|s3| s3.counts()),
            images: world.seen.images.load(Relaxed),
            image_bytes: world.seen.image_bytes.load(Relaxed),
            callbacks: world.seen.callbacks.load(Relaxed),
        }
    }

    pub(crate) fn elapsed_since(&self, before: &Self) -> Duration {
        self.at.duration_since(before.at)
    }

    pub(crate) fn cpu_since(&self, before: &Self) -> f64 {
        self.cpu - before.cpu
    }

    pub(crate) fn redis_since(&self, before: &Self) -> Option<RedisCosts> {
        Some(self.redis.as_ref()?.since(before.redis.as_ref()?))
    }

    /// The rows of a table.
    pub(crate) fn rows_since(
        &self,
        before: &Self,
        jobs: f64,
        milliseconds: &[f64],
    ) -> Vec<(String, String)> {
        let seconds = self.elapsed_since(before).as_secs_f64();
        let mut rows = vec![
            ("jobs/s".to_owned(), format!("{:.0}", jobs / seconds)),
            (
                "accept to told end, median (ms)".to_owned(),
                format!("{:.0}", quantile(milliseconds, 0.5)),
            ),
            (
                "the same, p95 (ms)".to_owned(),
                format!("{:.0}", quantile(milliseconds, 0.95)),
            ),
            (
                "CPU of the nodes (ms)".to_owned(),
                each(self.cpu_since(before) * 1000.0, jobs, 2),
            ),
            (
                "CPU of clients, origin, receiver and S3 (ms)".to_owned(),
                each((self.around - before.around) * 1000.0, jobs, 2),
            ),
        ];
        let mut row = |name: String, cell: String| rows.push((name, cell));
        if let Some(redis) = self.redis_since(before) {
            row(
                "CPU of Redis (ms)".into(),
                each(redis.cpu * 1000.0, jobs, 3),
            );
            row("scripts".into(), each(redis.scripts() as f64, jobs, 2));
            row(
                "commands in them".into(),
                each(redis.calls() as f64, jobs, 1),
            );
            row("bytes to Redis".into(), each(redis.received, jobs, 0));
            row("bytes from Redis".into(), each(redis.sent, jobs, 0));
            row("bytes to Redis' log".into(), each(redis.log, jobs, 0));
        }
        if let (Some(now), Some(before)) = (&self.s3, &before.s3) {
            for (kind, number) in &now.requests {
                let known = before.requests.get(kind).copied().unwrap_or(0);
                // Of a start and of the sweeper there is no more than one.
                if number - known > jobs as u64 / 100 {
                    let number = (number - known) as f64;
                    row(format!("S3: {kind}"), each(number, jobs, 3));
                }
            }
            let sent = (now.sent - before.sent) as f64;
            let received = (now.received - before.received) as f64;
            row("bytes to S3".into(), each(sent, jobs, 0));
            row("bytes from S3".into(), each(received, jobs, 0));
        }
        let images = (self.images - before.images) as f64;
        let bytes = (self.image_bytes - before.image_bytes) as f64;
        let callbacks = (self.callbacks - before.callbacks) as f64;
        row("requests for images".into(), each(images, jobs, 2));
        row("bytes of images".into(), each(bytes, jobs, 0));
        row("callbacks".into(), each(callbacks, jobs, 2));
        let redis = self.redis_since(before).map_or(0.0, |redis| redis.cpu);
        let busy = self.cpu_since(before) + self.around - before.around + redis;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        row(
            "share of all cores that these had".into(),
            format!("{:.2}", busy / seconds / cores as f64),
        );
        rows
    }
}
