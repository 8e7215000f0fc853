//! The way to the servers: one connection, which is made anew whenever it breaks.

use super::scripts::Command;
use super::servers::{ANSWER, Connection, Servers, timed_out};
use crate::engine::EngineError;
use crate::metrics::RedisMetrics;
use parking_lot::Mutex;
use redis::{ErrorKind, FromRedisValue, RedisError, ScriptInvocation, ServerErrorKind, Value};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Longest time for a command, its repetitions included.
const LIMIT: Duration = Duration::from_secs(5);

/// How often a command is sent whose answer does not come.
const TRIES: usize = 3;

/// How long a connection is waited for. During an outage nobody is kept waiting: see [`OUTAGE`].
const PATIENCE: Duration = Duration::from_secs(2);

/// Without a connection for longer than this, commands fail at once.
const OUTAGE: Duration = Duration::from_secs(2);

/// Pauses between attempts to connect: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The way to the servers.
pub(super) struct Link {
    /// What every key begins with.
    prefix: String,
    shared: Arc<Shared>,
    closed: CancellationToken,
    _keeping: JoinSet<()>,
}

struct Shared {
    servers: Servers,
    connection: watch::Sender<Option<Connected>>,
    trouble: Mutex<Trouble>,
    /// There is a connection again.
    reconnected: Notify,
    metrics: RedisMetrics,
}

#[derive(Clone)]
struct Connected {
    number: u64,
    since: Instant,
    connection: Connection,
}

/// Why there is no connection.
struct Trouble {
    since: Instant,
    reason: String,
}

impl Link {
    pub(super) fn new(servers: Servers, prefix: String, metrics: RedisMetrics) -> Self {
        let shared = Arc::new(Shared {
            servers,
            connection: watch::Sender::new(None),
            trouble: Mutex::new(Trouble {
                since: Instant::now(),
                reason: "not connected yet".into(),
            }),
            reconnected: Notify::new(),
            metrics,
        });
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
            unavailable(&error)
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
                return Err(unavailable(&error));
            }
            tries += 1;
        }
    }

    /// Sends a command that is no script.
    pub(super) async fn ask(&self, command: &redis::Cmd) -> Result<Value, EngineError> {
        let mut connected = self.connected(Instant::now() + LIMIT).await?;
        let answer = command.query_async::<Value>(&mut connected.connection);
        match tokio::time::timeout(ANSWER, answer).await {
            Ok(answer) => answer.map_err(|error| unavailable(&error)),
            Err(_) => Err(EngineError::Unavailable {
                reason: "no answer in time".into(),
            }),
        }
    }

    /// Waits for a connection, but not throughout an outage.
    async fn connected(&self, deadline: Instant) -> Result<Connected, EngineError> {
        if self.closed.is_cancelled() {
            return Err(EngineError::Closed);
        }
        let mut connection = self.shared.connection.subscribe();
        let outage = self.shared.trouble.lock().since.elapsed();
        let patience = match connection.borrow().is_some() {
            true => PATIENCE,
            false => OUTAGE.saturating_sub(outage).min(PATIENCE),
        };
        let patience = patience.min(deadline.saturating_duration_since(Instant::now()));
        let connected = connection.wait_for(Option::is_some);
        if let Ok(Ok(connected)) = tokio::time::timeout(patience, connected).await
            && let Some(connected) = &*connected
        {
            return Ok(connected.clone());
        }
        let reason = self.shared.trouble.lock().reason.clone();
        Err(EngineError::Unavailable { reason })
    }

    /// Waits until a connection was made since this was called last.
    pub(super) async fn reconnected(&self) {
        self.shared.reconnected.notified().await;
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

impl Shared {
    /// A connection is of no use any more; another is made.
    fn broken(&self, connected: &Connected, error: &RedisError) {
        let mut is_news = false;
        self.connection.send_if_modified(|current| {
            let is_current = current
                .as_ref()
                .is_some_and(|current| current.number == connected.number);
            if is_current {
                *current = None;
                is_news = true;
            }
            is_current
        });
        if is_news {
            *self.trouble.lock() = Trouble {
                since: Instant::now(),
                reason: error.to_string(),
            };
            tracing::warn!(%error, "the connection to Redis broke");
        }
    }
}

/// Connects whenever there is no connection.
async fn keep(shared: Arc<Shared>) {
    let mut pause = PAUSES.0;
    let mut number = 0;
    let mut watched = shared.connection.subscribe();
    loop {
        match connect(&shared.servers).await {
            Ok(connection) => {
                number += 1;
                if number > 1 {
                    shared.metrics.reconnections.increment(1);
                    tracing::info!("connected to Redis again");
                }
                let since = Instant::now();
                shared.connection.send_replace(Some(Connected {
                    number,
                    since,
                    connection,
                }));
                shared.reconnected.notify_one();
                // The sender lives as long as this task.
                if watched.wait_for(Option::is_none).await.is_err() {
                    return;
                }
                if since.elapsed() > PAUSES.1 {
                    pause = PAUSES.0;
                    continue;
                }
            }
            Err(error) => shared.trouble.lock().reason = error.to_string(),
        }
        tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// A server that loads its data, say, can be connected to, and is of no use yet.
async fn connect(servers: &Servers) -> Result<Connection, RedisError> {
    let connecting = async {
        let mut connection = servers.connect().await?;
        redis::cmd("PING")
            .query_async::<()>(&mut connection)
            .await?;
        Ok(connection)
    };
    match tokio::time::timeout(ANSWER * 2, connecting).await {
        Ok(connected) => connected,
        Err(_) => Err(timed_out()),
    }
}

/// Whether another connection may help, to another server perhaps.
fn may_pass(error: &RedisError) -> bool {
    let passes = matches!(
        error.kind(),
        ErrorKind::Io
            | ErrorKind::ClusterConnectionNotFound
            | ErrorKind::MasterNameNotFoundBySentinel
            | ErrorKind::Server(
                ServerErrorKind::BusyLoading
                    | ServerErrorKind::Moved
                    | ServerErrorKind::Ask
                    | ServerErrorKind::TryAgain
                    | ServerErrorKind::ClusterDown
                    | ServerErrorKind::MasterDown
                    | ServerErrorKind::ReadOnly
            )
    );
    passes || error.is_connection_dropped() || error.is_unrecoverable_error()
}

fn unavailable(error: &RedisError) -> EngineError {
    EngineError::Unavailable {
        reason: error.to_string(),
    }
}
