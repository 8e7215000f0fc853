//! What a Redis server says of its work.

use crate::redis_server::RedisServer;
use std::collections::BTreeMap;

/// All that it has done, or between two moments.
#[derive(Default, Clone)]
pub(crate) struct RedisCosts {
    /// By name; what scripts call counts, too.
    pub(crate) commands: BTreeMap<String, u64>,
    /// Seconds.
    pub(crate) cpu: f64,
    pub(crate) received: f64,
    pub(crate) sent: f64,
    pub(crate) log: f64,
    /// Bytes in use.
    pub(crate) memory: f64,
}

impl RedisCosts {
    pub(crate) async fn of(server: &RedisServer) -> Self {
        let client = redis::Client::open(server.url()).unwrap();
        // A machine with much to do may take its time.
        let patient = redis::AsyncConnectionConfig::new().set_response_timeout(None);
        let mut connection = client
            .get_multiplexed_async_connection_with_config(&patient)
            .await
            .unwrap();
        let text: String = redis::cmd("INFO")
            .arg("everything")
            .query_async(&mut connection)
            .await
            .unwrap();
        let mut commands = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        for (name, value) in text.lines().filter_map(|line| line.trim().split_once(':')) {
            if let Some(command) = name.strip_prefix("cmdstat_") {
                let calls = value.split(',').next().unwrap();
                let calls = calls.strip_prefix("calls=").unwrap().parse().unwrap();
                commands.insert(command.to_owned(), calls);
            } else if let Ok(number) = value.parse::<f64>() {
                numbers.insert(name, number);
            }
        }
        let number = |name| numbers.get(name).copied().unwrap_or(0.0);
        Self {
            commands,
            cpu: number("used_cpu_sys") + number("used_cpu_user"),
            received: number("total_net_input_bytes"),
            sent: number("total_net_output_bytes"),
            log: number("aof_current_size"),
            memory: number("used_memory"),
        }
    }

    pub(crate) fn since(&self, before: &Self) -> Self {
        let commands = self.commands.iter().map(|(name, calls)| {
            let known = before.commands.get(name).copied().unwrap_or(0);
            (name.clone(), calls - known)
        });
        Self {
            commands: commands.filter(|(_, calls)| *calls > 0).collect(),
            cpu: self.cpu - before.cpu,
            received: self.received - before.received,
            sent: self.sent - before.sent,
            log: self.log - before.log,
            memory: self.memory - before.memory,
        }
    }

    pub(crate) fn scripts(&self) -> u64 {
        self.commands.get("evalsha").copied().unwrap_or(0)
    }

    /// What scripts call, and what is no script.
    pub(crate) fn calls(&self) -> u64 {
        self.commands.values().sum::<u64>() - self.scripts()
    }
}
