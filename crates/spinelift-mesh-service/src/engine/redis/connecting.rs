//! One connection, which is made anew whenever it breaks.

use super::RedisUrl;
use super::refusal::{Refusal, explained};
use super::servers::{ANSWER, Connection, Servers, timed_out};
use crate::engine::EngineError;
use crate::metrics::RedisMetrics;
use parking_lot::Mutex;
use redis::{ErrorKind, RedisError, ServerErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How long a connection is waited for. During an outage nobody is kept waiting: see [`OUTAGE`].
const PATIENCE: Duration = Duration::from_secs(2);

/// Without a connection for longer than this, commands fail at once.
const OUTAGE: Duration = Duration::from_secs(2);

/// Pauses between attempts to connect: at first, and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// The connection, as long as there is one.
pub(super) struct Connecting {
    pub(super) servers: Servers,
    pub(super) url: RedisUrl,
    pub(super) connection: watch::Sender<Option<Connected>>,
    trouble: Mutex<Trouble>,
    /// There is a connection again.
    pub(super) reconnected: Notify,
    pub(super) metrics: RedisMetrics,
}

/// A connection, and since when it is there.
#[derive(Clone)]
pub(super) struct Connected {
    number: u64,
    pub(super) since: Instant,
    pub(super) connection: Connection,
}

/// Why there is no connection.
struct Trouble {
    since: Instant,
    reason: String,
    refusal: Option<Refusal>,
}

impl Trouble {
    fn of(error: &RedisError, url: &RedisUrl, since: Instant) -> Self {
        Self {
            since,
            reason: explained(error, url.is_encrypted()),
            refusal: Refusal::of(error),
        }
    }
}

impl Connecting {
    /// There is no connection before [`keep`] has made one.
    pub(super) fn new(servers: Servers, url: RedisUrl, metrics: RedisMetrics) -> Self {
        // Until there is an answer, which may be awaited for longer than by who asks.
        let trouble = Trouble::of(&timed_out(), &url, Instant::now());
        Self {
            servers,
            url,
            connection: watch::Sender::new(None),
            trouble: Mutex::new(trouble),
            reconnected: Notify::new(),
            metrics,
        }
    }

    /// Waits for a connection, but not throughout an outage.
    pub(super) async fn connected(&self, deadline: Instant) -> Result<Connected, EngineError> {
        let mut connection = self.connection.subscribe();
        let outage = self.trouble.lock().since.elapsed();
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
        let reason = self.trouble.lock().reason.clone();
        Err(self.unavailable(&reason))
    }

    /// What the reasons of errors begin with.
    pub(super) fn address(&self) -> String {
        format!("Redis at {} (REDIS_URL): ", self.url)
    }

    /// Why there is no connection, if something answers all the same.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        match self.connection.borrow().is_some() {
            true => None,
            false => self.trouble.lock().refusal,
        }
    }

    /// Whoever reads of it is to know which servers were meant.
    pub(super) fn unavailable(&self, reason: &str) -> EngineError {
        EngineError::Unavailable {
            reason: format!("{}{reason}", self.address()),
        }
    }

    /// A connection is of no use any more; another is made.
    pub(super) fn broken(&self, connected: &Connected, error: &RedisError) {
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
            *self.trouble.lock() = Trouble::of(error, &self.url, Instant::now());
            tracing::warn!(url = %self.url, %error, "the connection to Redis broke");
        }
    }
}

/// Connects whenever there is no connection.
pub(super) async fn keep(shared: Arc<Connecting>) {
    let mut pause = PAUSES.0;
    let mut number = 0;
    let mut watched = shared.connection.subscribe();
    loop {
        match connect(&shared.servers).await {
            Ok(connection) => {
                number += 1;
                if number > 1 {
                    shared.metrics.reconnections.increment(1);
                    tracing::info!(url = %shared.url, "connected to Redis again");
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
            Err(error) => {
                let mut trouble = shared.trouble.lock();
                *trouble = Trouble::of(&error, &shared.url, trouble.since);
            }
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
pub(super) fn may_pass(error: &RedisError) -> bool {
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
