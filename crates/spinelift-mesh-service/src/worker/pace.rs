//! How long jobs take of late, for the estimate in the answer to a request.

use parking_lot::Mutex;
use std::time::Duration;

/// The moving average of the jobs' durations.
#[derive(Debug)]
pub(crate) struct Pace {
    average: Mutex<Duration>,
    workers: usize,
}

/// What a job is assumed to take before any has ended.
const FIRST_GUESS: Duration = Duration::from_secs(1);

impl Pace {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            average: Mutex::new(FIRST_GUESS),
            workers,
        }
    }

    /// Takes a job that ended into account; the last ten or so count.
    pub(crate) fn record(&self, duration: Duration) {
        let mut average = self.average.lock();
        *average = average.mul_f64(0.9) + duration.mul_f64(0.1);
    }

    /// Seconds until a job that is accepted now will have ended, at least 1.
    pub(crate) fn estimate(&self, waiting: usize) -> u64 {
        let rounds = 1.0 + waiting as f64 / self.workers as f64;
        let seconds = self.average.lock().as_secs_f64() * rounds;
        (seconds.ceil() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_queue_and_the_pace() {
        let pace = Pace::new(10);
        assert_eq!(pace.estimate(0), 1);
        assert_eq!(pace.estimate(100), 11);
        for _ in 0..100 {
            pace.record(Duration::from_secs(3));
        }
        assert_eq!(pace.estimate(0), 3);
        let fast = Pace::new(10);
        for _ in 0..100 {
            fast.record(Duration::from_millis(5));
        }
        assert_eq!(fast.estimate(0), 1);
    }
}
