//! What must still be told: the durable list of deliveries.

use super::{EngineError, Lane};
use crate::job::JobId;
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The final events of jobs and batches, until their receivers have taken them.
///
/// A delivery that was handed out when its process died is handed out again (at-least-once, under
/// the same id).
#[async_trait]
pub trait Outbox {
    /// Waits for a delivery that is due; `None` after [`finish_due`](Self::finish_due). Whoever makes it drops the lane when
    /// the attempt is over: so many of one receiver are made at a time at most, and those of other
    /// receivers do not wait for them.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`]: the delivery stays due, and the caller should wait a little.
    async fn due(&self) -> Result<Option<(Delivery, Lane)>, EngineError>;

    /// Records what came of an attempt at a delivery that [`due`](Self::due) handed out.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`]: nothing was recorded, the call can be repeated.
    async fn attempted(
        &self,
        delivery: &Delivery,
        attempt: Attempt,
        next: Next,
    ) -> Result<(), EngineError>;

    /// All deliveries of a job or batch, with their attempts, oldest first.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn deliveries(&self, of: &JobId) -> Result<Vec<DeliveryRecord>, EngineError>;

    /// Makes the delivery of a job or batch due once more.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn replay(&self, of: &JobId, id: &DeliveryId) -> Result<Replayed, EngineError>;

    /// Hands out no more deliveries but those that could be made at once.
    fn finish_due(&self);

    /// How many deliveries wait, for their time or their turn.
    ///
    /// # Errors
    /// [`EngineError::Unavailable`].
    async fn undelivered(&self) -> Result<usize, EngineError>;
}

/// The name of a delivery: the `webhook-id` by which its receiver recognizes a repetition.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId(Arc<str>);

impl DeliveryId {
    /// A new unique id.
    #[must_use]
    pub fn generate() -> Self {
        Self(format!("msg_{}", uuid::Uuid::now_v7().simple()).into())
    }

    /// The id in a text; whether it exists is another question.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// A delivery to be made. What is to be told follows from the job, which has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its name.
    pub id: DeliveryId,
    /// The job or batch that ended.
    pub of: JobId,
    /// Which job or batch of that name it was: see [`Job::generation`](crate::job::Job::generation).
    pub generation: u64,
    /// Its receiver, by host and port.
    pub receiver: String,
    /// How often it was attempted, since it was made or replayed.
    pub attempts: u32,
    /// When it was made: with the end of its job.
    pub created_at: DateTime<Utc>,
}

/// One attempt at a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When it began.
    pub at: DateTime<Utc>,
    /// How long it took.
    pub took: Duration,
    /// The HTTP status of the answer, if there was one.
    pub status: Option<u16>,
    /// What went wrong, if something did.
    pub error: Option<String>,
}

/// What follows an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the receiver has taken it.
    Delivered,
    /// Nothing: it is given up.
    GiveUp,
    /// Another attempt, after this time.
    RetryAfter(Duration),
}

/// How a delivery stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It waits for its time, or is being made.
    Pending,
    /// Its receiver has taken it.
    Delivered,
    /// It was given up.
    Failed,
}

/// A delivery with its past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryRecord {
    /// The delivery.
    pub delivery: Delivery,
    /// How it stands.
    pub state: DeliveryState,
    /// When the next attempt is due, if it is pending.
    pub next_at: Option<DateTime<Utc>>,
    /// The attempts, oldest first; of very many only the latest.
    pub log: Vec<Attempt>,
}

/// What became of a delivery to be replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Replayed {
    /// It is due.
    Now,
    /// It was pending, and is due at once.
    Hastened,
    /// There is no such delivery of this job.
    Unknown,
}
