//! The way to the servers: scripts are run there.

use super::connecting::{Connected, Connecting, keep, may_pass};
use super::refusal::explained;
use super::scripts::Command;
use super::servers::{ANSWER, Connection, Servers, timed_out};
use super::{OpenError, RedisUrl};
use crate::engine::EngineError;
use crate::metrics::RedisMetrics;
use redis::{FromRedisValue, RedisError, ScriptInvocation, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest time for a command, its repetitions included.
const LIMIT: Duration = Duration::from_secs(5);

/// How often a command is sent whose answer does not come.
const TRIES: usize = 3;

/// The way to the servers.
pub(super) struct Link {
    /// What every key begins with.
    prefix: String,
    shared: Arc<Connecting>,
    closed: CancellationToken,
    _keeping: JoinSet<()>,
}

impl Link {
    /// `url` is that of the servers, for errors.
    pub(super) fn new(
        servers: Servers,
        url: RedisUrl,
        prefix: String,
        metrics: RedisMetrics,
    ) -> Self {
        let shared = Arc::new(Connecting::new(servers, url, metrics));
        let mut keeping = JoinSet::new();
        keeping.spawn(keep(Arc::clone(&shared)));
        Self {
            prefix,
            shared,
            closed: CancellationToken::new(),
            _keeping: keeping,
        }
    }

    pub(super) fn servers(&self) -> &Servers {
        &self.shared.servers
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Runs a script. Whoever wrote it has seen to it that it may be repeated: an answer that does
    /// not come says nothing about whether it ran.
    pub(super) async fn run<T: FromRedisValue>(
        &self,
        command: &Command,
        args: &[&str],
    ) -> Result<T, EngineError> {
        let invocation = self.invocation(command, args);
        let began = Instant::now();
        let answer = self.send(&invocation, began + LIMIT).await;
        let metrics = &self.shared.metrics;
        metrics.commands.record(began.elapsed());
        let answer = answer.inspect_err(|error| {
            if *error != EngineError::Closed {
                metrics.failures.increment(1);
            }
        })?;
        read(command, answer)
    }

    /// Runs a script once, on a connection that has been there for so long; `None` if there is none.
    pub(super) async fn run_if_steady<T: FromRedisValue>(
        &self,
        command: &Command,
        args: &[&str],
        time: Duration,
    ) -> Result<Option<T>, EngineError> {
        let connected = self.shared.connection.borrow().clone();
        let steady = connected.filter(|connected| connected.since.elapsed() >= time);
        let Some(mut connected) = steady else {
            return Ok(None);
        };
        let invocation = self.invocation(command, args);
        let answer = once(&invocation, &mut connected.connection, ANSWER).await;
        let answer = answer.map_err(|error| {
            if may_pass(&error) {
                self.shared.broken(&connected, &error);
            }
            self.unavailable(&error)
        })?;
        read(command, answer).map(Some)
    }

    fn invocation<'a>(&self, command: &'a Command, args: &[&str]) -> ScriptInvocation<'a> {
        let mut invocation = command.script.key(self.prefix.as_str());
        for arg in args {
            invocation.arg(*arg);
        }
        invocation
    }

    async fn send(
        &self,
        invocation: &ScriptInvocation<'_>,
        deadline: Instant,
    ) -> Result<Value, EngineError> {
        let mut tries = 1;
        loop {
            let mut connected = self.connected(deadline).await?;
            let left = deadline.saturating_duration_since(Instant::now());
            let answer = once(invocation, &mut connected.connection, left.min(ANSWER)).await;
            let error = match answer {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let passes = may_pass(&error);
            if passes {
                self.shared.broken(&connected, &error);
            }
            if !passes || tries == TRIES || Instant::now() >= deadline {
                return Err(self.unavailable(&error));
            }
            tries += 1;
        }
    }

    /// Sends a command that is no script.
    pub(super) async fn ask(&self, command: &redis::Cmd) -> Result<Value, EngineError> {
        let mut connected = self.connected(Instant::now() + LIMIT).await?;
        let answer = command.query_async::<Value>(&mut connected.connection);
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(answer) => answer.map_err(|error| self.unavailable(&error)),
            Err(_) => Err(self.unavailable(&timed_out())),
        }
    }

    fn unavailable(&self, error: &RedisError) -> EngineError {
        let is_encrypted = self.shared.url.is_encrypted();
        self.shared.unavailable(&explained(error, is_encrypted))
    }

    /// Waits for a connection, but not throughout an outage.
    async fn connected(&self, deadline: Instant) -> Result<Connected, EngineError> {
        if self.closed.is_cancelled() {
            return Err(EngineError::Closed);
        }
        self.shared.connected(deadline).await
    }

    /// Waits until a connection was made since this was called last.
    pub(super) async fn reconnected(&self) {
        self.shared.reconnected.notified().await;
    }

    /// Why nothing could be sent at the start.
    pub(super) fn open_error(&self, error: &EngineError) -> OpenError {
        let (url, address) = (self.shared.url.to_string(), self.shared.address());
        if let Some(reason) = self.shared.refusal() {
            return OpenError::Refused { url, reason };
        }
        let reason = match error {
            EngineError::Unavailable { reason } => {
                reason.strip_prefix(&address).unwrap_or(reason).to_owned()
            }
            error => error.to_string(),
        };
        OpenError::Unreachable { url, reason }
    }

    /// Sends nothing more.
    pub(super) fn close(&self) {
        self.closed.cancel();
    }
}

async fn once(
    invocation: &ScriptInvocation<'_>,
    connection: &mut Connection,
    limit: Duration,
) -> Result<Value, RedisError> {
    let answer = invocation.invoke_async(connection);
    match tokio::time::timeout(limit, answer).await {
        Ok(answer) => answer,
        Err(_) => Err(timed_out()),
    }
}

fn read<T: FromRedisValue>(command: &Command, answer: Value) -> Result<T, EngineError> {
    redis::from_redis_value(answer).map_err(|error| {
        let reason = format!(
            "an answer that was not expected ({}): {error}",
            command.name
        );
        EngineError::Unavailable { reason }
    })
}
