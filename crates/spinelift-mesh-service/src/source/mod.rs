//! Where images come from: HTTP servers that may be slow, broken or hostile, and S3 buckets.

mod body;
mod cache;
mod deadline;
mod error;
mod fetch;
mod object;
mod retry;

pub(crate) use error::SourceError;
pub(crate) use object::Buckets;

use crate::address::Outbound;
use crate::memory::{MemoryBudget, Reservation};
use crate::redacted::RedactedUrl;
use crate::stopwatch::Stopwatch;
use body::Received;
use bytes::Bytes;
use cache::SourceCache;
use deadline::Deadlines;
use fetch::Fetch;
use sha2::{Digest, Sha256};
use std::time::Duration;

/// How far a source is trusted.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceLimits {
    /// Most bytes of an image.
    pub(crate) bytes: usize,
    /// Longest wait for the head of an answer, connecting included.
    pub(crate) first_byte: Duration,
    /// Longest time for one try, redirects included.
    pub(crate) download: Duration,
    /// Longest time for all tries and the pauses between them.
    pub(crate) all_tries: Duration,
    /// Most tries.
    pub(crate) tries: u32,
    /// Most bytes of images that are kept to be used again.
    pub(crate) cache: u64,
}

/// An image file in memory.
#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) bytes: Bytes,
    /// SHA-256 of the bytes.
    pub(crate) digest: [u8; 32],
    /// Given back when the image is no longer needed.
    _memory: Reservation,
}

impl Image {
    /// An image that was here already, in memory that is accounted for.
    pub(crate) fn of_upload(bytes: Bytes, memory: Reservation) -> Self {
        let digest = Sha256::digest(&bytes).into();
        Self::new(Received { bytes, digest }, memory)
    }

    fn new(received: Received, memory: Reservation) -> Self {
        Self {
            bytes: received.bytes,
            digest: received.digest,
            _memory: memory,
        }
    }
}

/// Loads images over HTTP and from S3.
#[derive(Debug, Clone)]
pub(crate) struct Sources {
    outbound: Outbound,
    buckets: Buckets,
    limits: SourceLimits,
    memory: MemoryBudget,
    cache: SourceCache,
}

impl Sources {
    pub(crate) fn new(
        outbound: Outbound,
        buckets: Buckets,
        limits: SourceLimits,
        memory: MemoryBudget,
    ) -> Self {
        Self {
            outbound,
            buckets,
            limits,
            memory,
            cache: SourceCache::new(limits.cache),
        }
    }

    /// The image. Faults that may pass are tried again, all others fail at once. The stopwatch
    /// stands still while this waits for memory.
    pub(crate) async fn load(
        &self,
        url: &RedactedUrl,
        stopwatch: &Stopwatch,
    ) -> Result<Image, SourceError> {
        let fetch = Fetch {
            outbound: &self.outbound,
            buckets: &self.buckets,
            cache: &self.cache,
            memory: &self.memory,
            limit: self.limits.bytes,
        };
        let mut deadlines = Deadlines::new(&self.limits, stopwatch);
        let mut tried = 1;
        loop {
            let error = match fetch.run(url, &mut deadlines).await {
                Ok(image) => return Ok(image),
                Err(error) => error,
            };
            let pause = retry::delay(tried, error.retry_after());
            if !error.may_pass() || tried >= self.limits.tries || !deadlines.allow(pause) {
                return Err(error.after(tried));
            }
            tracing::info!(%url, %error, tried, "the image could not be loaded, trying again");
            tokio::time::sleep(pause).await;
            deadlines.next_try();
            tried += 1;
        }
    }
}
