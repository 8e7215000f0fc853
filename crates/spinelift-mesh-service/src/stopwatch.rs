//! Time that is bounded, and of which waiting is no part.

use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// Counts the time that work takes, and stands still while it waits for something that is no fault
/// of its own.
#[derive(Debug, Clone)]
pub(crate) struct Stopwatch(Arc<watch::Sender<Hand>>);

#[derive(Debug, Clone, Copy)]
enum Hand {
    Runs { until: Instant },
    Stands { left: Duration },
}

/// The time is up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TimeIsUp;

/// Lets the stopwatch run on when it is dropped.
#[derive(Debug)]
pub(crate) struct Pause(Stopwatch);

impl Stopwatch {
    /// One that runs, for as long as this.
    pub(crate) fn start(limit: Duration) -> Self {
        let until = Instant::now() + limit;
        Self(Arc::new(watch::Sender::new(Hand::Runs { until })))
    }

    /// Works for as long as there is time, and drops the work then.
    pub(crate) async fn bound<T>(&self, work: impl Future<Output = T>) -> Result<T, TimeIsUp> {
        let mut work = std::pin::pin!(work);
        let mut hand = self.0.subscribe();
        loop {
            let shown = *hand.borrow_and_update();
            let up = async {
                match shown {
                    Hand::Runs { until } => sleep_until(until).await,
                    Hand::Stands { .. } => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                // The sender is here.
                _ = hand.changed() => {}
                () = up => return Err(TimeIsUp),
            }
        }
    }

    /// Stands still until the pause is dropped. There is one pause at a time.
    pub(crate) fn pause(&self) -> Pause {
        self.0.send_modify(|hand| {
            if let Hand::Runs { until } = *hand {
                let left = until.saturating_duration_since(Instant::now());
                *hand = Hand::Stands { left };
            }
        });
        Pause(self.clone())
    }

    /// Waits, which does not count.
    pub(crate) async fn apart<T>(&self, waiting: impl Future<Output = T>) -> T {
        let _pause = self.pause();
        waiting.await
    }
}

impl Drop for Pause {
    fn drop(&mut self) {
        self.0.0.send_modify(|hand| {
            if let Hand::Stands { left } = *hand {
                let until = Instant::now() + left;
                *hand = Hand::Runs { until };
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const HOUR: Duration = Duration::from_secs(60 * 60);
    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn waiting_is_not_counted_and_work_is() {
        let stopwatch = Stopwatch::start(SECOND * 3);
        let work = async {
            sleep(SECOND).await;
            stopwatch.apart(sleep(HOUR)).await;
            sleep(SECOND).await;
            stopwatch.apart(sleep(HOUR)).await;
        };
        assert_eq!(stopwatch.bound(work).await, Ok(()));
        let began = Instant::now();
        let endless = std::future::pending::<()>();
        assert_eq!(stopwatch.bound(endless).await, Err(TimeIsUp));
        assert_eq!(began.elapsed().as_secs(), 1, "what was left");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_may_end_elsewhere() {
        let stopwatch = Stopwatch::start(SECOND);
        let pause = stopwatch.pause();
        let task = tokio::spawn(async move {
            sleep(HOUR).await;
            drop(pause);
        });
        let began = Instant::now();
        let endless = std::future::pending::<()>();
        assert_eq!(stopwatch.bound(endless).await, Err(TimeIsUp));
        assert_eq!(began.elapsed(), HOUR + SECOND);
        task.await.expect("it ends");
    }
}
