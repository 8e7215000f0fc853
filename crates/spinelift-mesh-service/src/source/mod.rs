//! Where images come from: HTTP servers that may be slow, broken or hostile.

mod error;
mod fetch;

pub(crate) use error::SourceError;

use crate::address::Outbound;
use crate::redacted::RedactedUrl;
use std::time::Duration;

/// How far a source is trusted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceLimits {
    /// Most bytes of an image.
    pub(crate) bytes: usize,
    /// Longest wait for the head of an answer.
    pub(crate) first_byte: Duration,
    /// Longest time for one try, redirects included.
    pub(crate) total: Duration,
    /// Most tries.
    pub(crate) tries: u32,
}

/// Loads images over HTTP.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    outbound: Outbound,
    limits: SourceLimits,
}

/// Delay before the second try; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(250);

impl Sources {
    pub(crate) fn new(outbound: Outbound, limits: SourceLimits) -> Self {
        Self { outbound, limits }
    }

    /// The bytes of the image. Faults that may pass are tried again, all others fail at once.
    pub(crate) async fn load(&self, url: &RedactedUrl) -> Result<Vec<u8>, SourceError> {
        let mut delay = FIRST_DELAY;
        let mut tried = 1;
        loop {
            match self.try_once(url).await {
                Err(error) if error.is_transient() && tried < self.limits.tries => {
                    tracing::info!(%url, %error, tried, "the image could not be loaded, trying again");
                    tokio::time::sleep(jittered(delay)).await;
                    delay *= 2;
                    tried += 1;
                }
                result => return result.map_err(|error| error.after(tried)),
            }
        }
    }

    async fn try_once(&self, url: &RedactedUrl) -> Result<Vec<u8>, SourceError> {
        let fetch = fetch::fetch(&self.outbound, &self.limits, url);
        match tokio::time::timeout(self.limits.total, fetch).await {
            Ok(result) => result,
            Err(_) => Err(SourceError::timeout(url, self.limits.total)),
        }
    }
}

/// Half to one and a half times the delay, so that jobs that failed together do not come back
/// together.
fn jittered(delay: Duration) -> Duration {
    delay.mul_f64(0.5 + fastrand::f64())
}
