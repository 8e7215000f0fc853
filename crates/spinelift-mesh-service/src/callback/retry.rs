//! When a delivery that failed is attempted again.

use super::post::NotTaken;
use crate::engine::Next;
use reqwest::StatusCode;
use std::time::Duration;

/// Times between the attempts at one delivery, in multiples of the first. With the default that is
/// 5 s, 30 s, 2 min, 10 min, 1 h, 3 h, 8 h, 12 h.
const PAUSES: [u32; 8] = [1, 6, 24, 120, 720, 2160, 5760, 8640];

/// No pause is longer: whoever wants one forgets that a delivery waits.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How often, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Retries {
    /// The most attempts, the setting `CALLBACK_TRIES`.
    pub(crate) tries: usize,
    /// The first pause, the setting `CALLBACK_BACKOFF`.
    pub(crate) backoff: Duration,
}

impl Retries {
    /// What follows a failure after `before` attempts that failed as well.
    pub(super) fn next(&self, before: u32, failure: &NotTaken) -> Next {
        let is_gone = failure.status == Some(StatusCode::GONE.as_u16());
        let before = before as usize;
        if is_gone || before.saturating_add(1) >= self.tries {
            return Next::GiveUp;
        }
        let pause = jittered(self.pause(before)).max(failure.retry_after.unwrap_or_default());
        Next::RetryAfter(pause.min(LONGEST))
    }

    /// More attempts than there are pauses have the last one between them.
    fn pause(&self, before: usize) -> Duration {
        let multiple = PAUSES[before.min(PAUSES.len() - 1)];
        self.backoff.saturating_mul(multiple).min(LONGEST)
    }
}

/// Four to six fifths of a pause, so that what failed together does not come back together.
fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.8 + 0.4 * fastrand::f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    const RETRIES: Retries = Retries {
        tries: 9,
        backoff: Duration::from_secs(5),
    };

    fn failure(status: u16, retry_after: Option<u64>) -> NotTaken {
        NotTaken {
            status: Some(status),
            retry_after: retry_after.map(Duration::from_secs),
            ..NotTaken::unanswered("why")
        }
    }

    fn pause(retries: Retries, before: u32, failure: &NotTaken) -> Duration {
        match retries.next(before, failure) {
            Next::RetryAfter(pause) => pause,
            other => panic!("after {before}: {other:?}"),
        }
    }

    #[test]
    fn pauses_grow_and_attempts_end() {
        let minutes = [1.0 / 12.0, 0.5, 2.0, 10.0, 60.0, 180.0, 480.0, 720.0];
        for (before, minutes) in (0..).zip(minutes) {
            let pause = pause(RETRIES, before, &failure(500, None)).as_secs_f64() / 60.0;
            assert!(
                (0.8 * minutes..=1.2 * minutes).contains(&pause),
                "{before}: {pause}"
            );
        }
        assert_eq!(RETRIES.next(8, &failure(500, None)), Next::GiveUp);
        let once = Retries {
            tries: 1,
            ..RETRIES
        };
        assert_eq!(once.next(0, &failure(500, None)), Next::GiveUp);
    }

    #[test]
    fn what_failed_together_does_not_come_back_together() {
        let pauses = [(); 8].map(|()| pause(RETRIES, 7, &failure(500, None)));
        assert!(pauses.iter().any(|pause| *pause != pauses[0]));
    }

    #[test]
    fn no_pause_is_longer_than_a_day_nor_out_of_range() {
        let slow = Retries {
            tries: 1000,
            backoff: Duration::MAX,
        };
        for before in [0, 7, 8, 998] {
            assert!(pause(slow, before, &failure(500, None)) <= LONGEST);
        }
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_but_not_for_a_shorter_one() {
        assert_eq!(pause(RETRIES, 0, &failure(503, Some(60))).as_secs(), 60);
        assert!(pause(RETRIES, 0, &failure(503, Some(1))).as_secs() >= 4);
        assert_eq!(pause(RETRIES, 0, &failure(429, Some(u64::MAX))), LONGEST);
    }

    #[test]
    fn a_receiver_that_is_gone_is_left_alone() {
        assert_eq!(RETRIES.next(0, &failure(410, None)), Next::GiveUp);
    }
}
