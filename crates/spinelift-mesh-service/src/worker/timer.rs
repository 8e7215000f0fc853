//! How long a job has run. The time in which it waits for the service's own storage does not count:
//! that is no fault of the job, and may be long.

use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// The time of one job.
pub(super) struct Timer {
    limit: Duration,
    /// When the job has run too long; never while the timer is stopped.
    ends: watch::Sender<Option<Instant>>,
}

impl Timer {
    pub(super) fn start(limit: Duration) -> Self {
        Self {
            limit,
            ends: watch::Sender::new(Some(Instant::now() + limit)),
        }
    }

    /// The job's work, or what its limit was.
    pub(super) async fn limit<T>(&self, work: impl Future<Output = T>) -> Result<T, Duration> {
        tokio::select! {
            done = work => Ok(done),
            () = self.ran_out() => Err(self.limit),
        }
    }

    /// Waits for something with the timer stopped. It is not to be called within itself.
    pub(super) async fn apart<T>(&self, wait: impl Future<Output = T>) -> T {
        let stopped = Stopped::begin(self);
        let value = wait.await;
        drop(stopped);
        value
    }

    async fn ran_out(&self) {
        let mut ends = self.ends.subscribe();
        loop {
            let until = *ends.borrow_and_update();
            // The sender is in `self`.
            let changed = async { drop(ends.changed().await) };
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

/// A stopped timer, which goes on when this is dropped.
struct Stopped<'a> {
    timer: &'a Timer,
    left: Duration,
}

impl<'a> Stopped<'a> {
    fn begin(timer: &'a Timer) -> Self {
        let ends = timer.ends.send_replace(None);
        let left = ends.map_or(Duration::ZERO, |ends| {
            ends.saturating_duration_since(Instant::now())
        });
        Self { timer, left }
    }
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        let ends = Instant::now() + self.left;
        self.timer.ends.send_replace(Some(ends));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::sleep;

    const LIMIT: Duration = Duration::from_secs(10);

    #[tokio::test(start_paused = true)]
    async fn a_job_has_its_time_and_no_more() {
        assert_eq!(Timer::start(LIMIT).limit(sleep(LIMIT / 2)).await, Ok(()));
        let late = Timer::start(LIMIT).limit(sleep(LIMIT * 2)).await;
        assert_eq!(late, Err(LIMIT));
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_for_the_storage_does_not_count() {
        let timer = Timer::start(LIMIT);
        let work = async {
            sleep(LIMIT / 2).await;
            timer.apart(sleep(LIMIT * 100)).await;
            sleep(LIMIT / 4).await;
        };
        assert_eq!(timer.limit(work).await, Ok(()));
        let timer = Timer::start(LIMIT);
        let work = async {
            timer.apart(sleep(LIMIT * 100)).await;
            sleep(LIMIT * 2).await;
        };
        assert_eq!(timer.limit(work).await, Err(LIMIT));
    }
}
