//! Tidying up: jobs whose time is over, results beyond the bound of the cache, and what a crash
//! left behind.

use super::uploads::Uploads;
use crate::clock;
use crate::engine::{EngineError, JobEngine};
use crate::storage::Storage;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Pause between two rounds; tests of faults do not wait for them.
const PAUSE: Duration = match cfg!(feature = "fault-points") {
    false => Duration::from_secs(30),
    true => Duration::from_millis(200),
};

/// Pause between two looks for what was left behind: they go through all of the storage.
const LEFT_PAUSE: Duration = match cfg!(feature = "fault-points") {
    false => LEFT,
    true => PAUSE,
};

/// What a crash left is removed when it is older than this: what is younger may be in use.
const LEFT: Duration = Duration::from_secs(60 * 60);

/// A wall clock that has run this much faster than time since the last round has been set.
const JUMP: Duration = Duration::from_secs(60);

/// Tidies up until it is dropped.
pub(crate) struct Sweeper {
    pub(crate) engine: Arc<dyn JobEngine>,
    pub(crate) storage: Storage,
    pub(crate) uploads: Arc<Uploads>,
    /// How long jobs are kept after their end.
    pub(crate) keep: Duration,
    /// Most bytes of the result cache.
    pub(crate) cache: u64,
}

impl Sweeper {
    /// Runs for ever.
    pub(crate) async fn run(self) {
        let mut clock = Clock::default();
        let mut next_look = Instant::now();
        loop {
            if Instant::now() >= next_look {
                if let Err(error) = self.remove_leftovers().await {
                    tracing::warn!(%error, "what a crash may have left could not be looked for");
                }
                next_look = Instant::now() + LEFT_PAUSE;
            }
            if let Some(now) = clock.now() {
                if let Err(error) = self.round(now).await {
                    tracing::warn!(%error, "old jobs could not be removed");
                }
            } else {
                tracing::warn!("the clock was set forward; no job is removed for an hour");
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn round(&self, now: DateTime<Utc>) -> Result<(), EngineError> {
        let before = now - self.keep;
        let mut gone = 0;
        loop {
            let expired = self.engine.expire(before).await?;
            self.storage.remove_results(&expired.unused).await;
            gone += expired.gone;
            if expired.gone == 0 {
                break;
            }
        }
        if gone > 0 {
            tracing::info!(jobs = gone, "removed jobs whose time is over");
        }
        let unused = self.engine.shrink_cache(self.cache).await?;
        self.storage.remove_results(&unused).await;
        Ok(())
    }

    /// A crash between writing an object and recording it leaves the object, and so does a storage
    /// that could not be reached when it was to be removed.
    async fn remove_leftovers(&self) -> Result<(), EngineError> {
        let now = match self.storage.begin_sweep().await {
            Ok(Some(now)) => now,
            Ok(None) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, "the storage cannot be searched for leftovers");
                return Ok(());
            }
        };
        let before = now - LEFT;
        let mut results = pin!(self.storage.results_before(before));
        while let Some(objects) = results.next().await {
            let unused = self.engine.unused(objects).await?;
            self.storage.remove_results(&unused).await;
        }
        self.uploads.remove_left(before).await
    }
}

/// The wall clock, distrusted: set forward by mistake it would make all jobs old.
struct Clock {
    began: (Instant, DateTime<Utc>),
    distrusted_until: Option<Instant>,
}

impl Default for Clock {
    fn default() -> Self {
        Self {
            began: (Instant::now(), clock::now()),
            distrusted_until: None,
        }
    }
}

impl Clock {
    /// The time, unless the clock was set forward within the last hour.
    fn now(&mut self) -> Option<DateTime<Utc>> {
        self.judge(Instant::now(), clock::now())
    }

    fn judge(&mut self, monotonic: Instant, wall: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let (began, shown) = self.began;
        let expected = shown + (monotonic - began);
        if wall > expected + JUMP {
            self.distrusted_until = Some(monotonic + LEFT);
        }
        if wall > expected + JUMP || wall < expected - JUMP {
            self.began = (monotonic, wall);
        }
        match self.distrusted_until {
            Some(until) if monotonic < until => None,
            _ => Some(wall),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_set_forward_is_not_believed_for_an_hour() {
        let mut clock = Clock::default();
        let (mut monotonic, mut wall) = clock.began;
        let mut pass = |seconds: u64, jump: i64| {
            monotonic += Duration::from_secs(seconds);
            wall += Duration::from_secs(seconds);
            wall += chrono::TimeDelta::seconds(jump);
            clock.judge(monotonic, wall)
        };
        assert!(pass(30, 0).is_some());
        assert!(pass(30, 10).is_some(), "clocks are adjusted all the time");
        assert!(pass(30, 86_400).is_none());
        assert!(pass(3_500, 0).is_none());
        assert!(pass(101, 0).is_some());
        assert!(pass(30, -86_400).is_some(), "nothing is too old then");
        assert!(pass(30, 0).is_some());
        assert!(pass(30, 86_400).is_none());
    }
}
