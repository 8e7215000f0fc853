//! `?wait=SECONDS`: an answer that is held until its job has ended.

use super::{Api, Named};
use crate::error::ApiError;
use crate::job::{Job, JobId};
use crate::request::wrong;
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

/// The range of the time to wait, in seconds.
const RANGE: std::ops::RangeInclusive<f64> = 1.0..=60.0;

/// The share of `REQUEST_TIMEOUT` after which an answer is held no longer.
const SHARE: f64 = 0.9;

/// What is known of the query of a request that makes a job; of others it is warned.
pub(super) const KNOWN: [&str; 1] = ["wait"];

/// Until when an answer is held.
#[derive(Clone, Copy)]
pub(super) struct Wait {
    began: Instant,
    time: Duration,
}

impl Wait {
    /// Reads the query of a request that has just begun, or says what is wrong with it.
    pub(super) fn read(query: Option<&str>) -> Result<Option<Self>, Value> {
        let began = Instant::now();
        let query = query.unwrap_or_default().as_bytes();
        let mut given = url::form_urlencoded::parse(query).filter(|(name, _)| name == "wait");
        let Some((_, text)) = given.next() else {
            return Ok(None);
        };
        if let Some((_, second)) = given.next() {
            return Err(wrong(
                "wait",
                &Value::from(&*second),
                "wait must be given once",
            ));
        }
        let seconds = text.parse().ok().filter(|seconds| RANGE.contains(seconds));
        let Some(seconds) = seconds else {
            let message = "wait must be a number of seconds from 1 to 60";
            return Err(wrong("wait", &Value::from(&*text), message));
        };
        let time = Duration::from_secs_f64(seconds);
        Ok(Some(Self { began, time }))
    }

    fn until(self, request_timeout: Duration) -> Instant {
        let latest = self.began + request_timeout.mul_f64(SHARE);
        latest.min(Instant::now() + self.time)
    }
}

impl Api {
    /// The job, once it has ended; `None` if the time is up before, or if too many wait already.
    pub(super) async fn ended(
        &self,
        id: &JobId,
        wait: Wait,
        client: &str,
    ) -> Result<Option<Job>, ApiError> {
        let until = wait.until(self.request_timeout);
        // Begun before the state is read for the first time.
        let mut watch = self.engine.watch(id);
        let place = self.held.enter(client);
        loop {
            match self.find(id).await? {
                Some(Named::Job(job)) if job.state.is_final() => return Ok(Some(*job)),
                Some(Named::Job(_)) if place.is_ok() => {}
                // Not to be waited for, or deleted meanwhile.
                _ => return Ok(None),
            }
            tokio::select! {
                () = watch.changed() => {}
                () = tokio::time::sleep_until(until) => return Ok(None),
                () = self.draining.cancelled() => return Ok(None),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_read_from_the_query() {
        let read = |query| Wait::read(Some(query)).map(|wait| wait.map(|wait| wait.time));
        assert_eq!(read(""), Ok(None));
        assert_eq!(read("other=1"), Ok(None));
        assert_eq!(read("wait=1.5"), Ok(Some(Duration::from_millis(1500))));
        assert!(read("wait=2&other=1&other=2").is_ok());
        for bad in [
            "wait",
            "wait=",
            "wait=0.9",
            "wait=61",
            "wait=NaN",
            "wait=x",
            "wait=1&wait=99",
            "wait=1&wait=1",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[tokio::test]
    async fn an_answer_is_held_for_less_than_a_request_may_take() {
        let wait = Wait::read(Some("wait=60")).expect("right").expect("there");
        let until = wait.until(Duration::from_secs(10));
        assert!(until < wait.began + Duration::from_secs(10));
    }
}
