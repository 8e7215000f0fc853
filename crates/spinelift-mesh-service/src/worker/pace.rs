//! How long jobs take of late, for the estimate in the answer to a request.

use crate::settings::Settings;
use parking_lot::Mutex;
use std::time::Duration;

/// Moving averages of what a job spends its time with. Results from the cache are left out: who
/// sends a new image should not be told their time.
#[derive(Debug)]
pub(crate) struct Pace {
    loading: Average,
    computing: Average,
    /// How many images are loaded at a time; those of one server, since most jobs have the same.
    loaders: usize,
    /// How many computations make progress at a time.
    computers: usize,
}

/// A moving average; the last ten or so count.
#[derive(Debug, Default)]
struct Average(Mutex<Option<Duration>>);

impl Average {
    fn add(&self, duration: Duration) {
        let mut average = self.0.lock();
        *average = Some(match *average {
            None => duration,
            Some(average) => average.mul_f64(0.9) + duration.mul_f64(0.1),
        });
    }

    fn seconds(&self) -> f64 {
        self.0.lock().unwrap_or(FIRST_GUESS).as_secs_f64()
    }
}

/// What each part is assumed to take before any has ended.
const FIRST_GUESS: Duration = Duration::from_millis(500);

impl Pace {
    pub(crate) fn new(settings: &Settings) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let downloads = settings.max_concurrent_downloads;
        Self::of(
            downloads.min(settings.max_downloads_per_host).get(),
            settings.max_concurrent_jobs.get().min(cores),
        )
    }

    fn of(loaders: usize, computers: usize) -> Self {
        Self {
            loading: Average::default(),
            computing: Average::default(),
            loaders,
            computers,
        }
    }

    /// An image was loaded, or could not be.
    pub(crate) fn loaded(&self, took: Duration) {
        self.loading.add(took);
    }

    /// A mesh was computed, or could not be; waiting for a core not counted.
    pub(crate) fn computed(&self, took: Duration) {
        self.computing.add(took);
    }

    /// Seconds until a job that is accepted now will have ended, at least 1. The queue moves as
    /// fast as the slower of loading and computing, which overlap.
    pub(crate) fn estimate(&self, waiting: usize) -> u64 {
        let (loading, computing) = (self.loading.seconds(), self.computing.seconds());
        let each = (loading / self.loaders as f64).max(computing / self.computers as f64);
        let seconds = waiting as f64 * each + loading + computing;
        (seconds.ceil() as u64).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pace after many jobs like this.
    fn pace(loading: u64, computing: u64) -> Pace {
        let pace = Pace::of(16, 2);
        for _ in 0..100 {
            pace.loaded(Duration::from_millis(loading));
            pace.computed(Duration::from_millis(computing));
        }
        pace
    }

    #[test]
    fn an_empty_queue_costs_what_the_job_takes_and_at_least_a_second() {
        assert_eq!(Pace::of(16, 2).estimate(0), 1);
        assert_eq!(pace(5, 1).estimate(0), 1);
        assert_eq!(pace(2000, 900).estimate(0), 3);
    }

    #[test]
    fn a_long_queue_moves_as_fast_as_its_narrowest_place() {
        // 100,000 sprites of a millisecond on two cores, from a server that answers in 8 ms.
        assert_eq!(pace(8, 1).estimate(100_000), 51);
        // Computing is slower: 50 s of it on each of two cores, and a second for the job itself.
        assert_eq!(pace(10, 100).estimate(1000), 51);
        // Loading is slower: 1000 times 1.6 s, 16 at a time, and the job's own.
        assert_eq!(pace(1600, 1).estimate(1000), 102);
    }

    #[test]
    fn the_first_job_counts_in_full_and_one_that_is_off_does_not_count_much() {
        let pace = Pace::of(16, 2);
        pace.loaded(Duration::from_secs(4));
        pace.computed(Duration::from_secs(2));
        assert_eq!(pace.estimate(0), 6);
        pace.loaded(Duration::from_secs(14));
        assert_eq!(pace.estimate(0), 7);
    }
}
