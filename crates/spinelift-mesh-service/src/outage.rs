//! What fails again and again is said when it begins, and then once a minute.

use parking_lot::Mutex;
use std::time::Duration;
use tokio::time::Instant;

/// How long nothing is said of an outage that goes on.
const SILENCE: Duration = Duration::from_secs(60);

/// Without a failure for so long it is over, though nothing has succeeded: nothing was tried.
const OVER: Duration = Duration::from_secs(20);

/// Failures of one kind, whoever meets them.
#[derive(Default)]
pub(crate) struct Outage(Mutex<Option<Failures>>);

struct Failures {
    began: Instant,
    last: Instant,
    said: Instant,
}

impl Outage {
    /// Takes note of a failure; whether the log should have it.
    pub(crate) fn is_news(&self) -> bool {
        let now = Instant::now();
        let mut failures = self.0.lock();
        let known = failures.as_mut().filter(|known| now - known.last < OVER);
        let Some(known) = known else {
            *failures = Some(Failures {
                began: now,
                last: now,
                said: now,
            });
            return true;
        };
        known.last = now;
        let is_news = now - known.said >= SILENCE;
        if is_news {
            known.said = now;
        }
        is_news
    }

    /// Takes note of a success; from the first to the last failure, if there were any.
    pub(crate) fn is_over(&self) -> Option<Duration> {
        let failures = self.0.lock().take()?;
        Some(failures.last - failures.began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::advance;

    #[tokio::test(start_paused = true)]
    async fn an_outage_is_said_at_once_and_every_minute_and_its_end_once() {
        let outage = Outage::default();
        assert_eq!(outage.is_over(), None);
        let mut said = Vec::new();
        for second in 0..130 {
            if outage.is_news() {
                said.push(second);
            }
            advance(Duration::from_secs(1)).await;
        }
        assert_eq!(said, [0, 60, 120]);
        assert_eq!(outage.is_over(), Some(Duration::from_secs(129)));
        assert_eq!(outage.is_over(), None);
        assert!(outage.is_news(), "the next one");
        advance(OVER).await;
        assert!(outage.is_news(), "another one");
    }
}
