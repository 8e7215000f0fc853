//! The bound on connecting. It does not count the time in which the name is resolved: that has a
//! bound of its own, and whoever reads an error wants to know which of the two it was.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tower::{Layer, Service};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// No connection came about in time.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("no connection came about within {} s (IMAGE_CONNECT_TIMEOUT)", .0.as_secs_f64())]
pub(crate) struct ConnectTimedOut(pub(crate) Duration);

tokio::task_local! {
    /// The clock of the connection that is being made. The resolver works inside the connector,
    /// and has no other way to reach it.
    static CLOCK: Arc<Clock>;
}

/// When connecting is given up; never while the clock is stopped.
struct Clock {
    limit: Duration,
    deadline: watch::Sender<Option<Instant>>,
}

impl Clock {
    fn new(limit: Duration) -> Self {
        Self {
            limit,
            deadline: watch::Sender::new(Some(Instant::now() + limit)),
        }
    }

    async fn ran_out(&self) {
        let mut deadline = self.deadline.subscribe();
        loop {
            let until = *deadline.borrow_and_update();
            // The sender is in `self`.
            let changed = async { drop(deadline.changed().await) };
            match until {
                None => changed.await,
                Some(until) => tokio::select! {
                    () = changed => {}
                    () = tokio::time::sleep_until(until) => return,
                },
            }
        }
    }
}

/// Stops the clock, until dropped, of the connection that this is called for.
pub(super) fn pause_clock() -> Option<PausedClock> {
    let clock = CLOCK.try_with(Arc::clone).ok()?;
    clock.deadline.send_replace(None);
    Some(PausedClock(clock))
}

pub(super) struct PausedClock(Arc<Clock>);

impl Drop for PausedClock {
    fn drop(&mut self) {
        let deadline = Instant::now() + self.0.limit;
        self.0.deadline.send_replace(Some(deadline));
    }
}

/// Gives a connector the bound.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectTimeout(pub(super) Duration);

impl<S> Layer<S> for ConnectTimeout {
    type Service = TimedConnector<S>;

    fn layer(&self, connector: S) -> Self::Service {
        TimedConnector {
            connector,
            limit: self.0,
        }
    }
}

/// A connector with the bound.
#[derive(Debug, Clone)]
pub(super) struct TimedConnector<S> {
    connector: S,
    limit: Duration,
}

impl<S, R> Service<R> for TimedConnector<S>
where
    S: Service<R, Error = BoxError>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, target: R) -> Self::Future {
        let limit = self.limit;
        let clock = Arc::new(Clock::new(limit));
        let connecting = CLOCK.scope(Arc::clone(&clock), self.connector.call(target));
        Box::pin(async move {
            tokio::select! {
                connection = connecting => connection,
                () = clock.ran_out() => Err(ConnectTimedOut(limit).into()),
            }
        })
    }
}
