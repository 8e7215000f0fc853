//! How whoever makes an attempt at a job hears that it is of no use any more, and why.

use std::sync::{Arc, OnceLock};
use tokio_util::sync::CancellationToken;

/// Why an attempt is of no use any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Somebody cancelled the job.
    Cancelled,
    /// The node was silent for longer than its lease: the job waits again, is another's, or was
    /// ended by another.
    LeaseOver,
    /// The store does not know the job any more.
    Gone,
}

/// Tells whoever makes an attempt that it is of no use any more. Its copies tell the same.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    token: CancellationToken,
    reason: Arc<OnceLock<Reason>>,
}

impl Stop {
    /// The first reason counts.
    pub(super) fn because(&self, reason: Reason) {
        self.reason.get_or_init(|| reason);
        self.token.cancel();
    }

    /// Whether the attempt is of no use any more.
    #[must_use]
    pub fn is_told(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Waits until the attempt is of no use any more; why.
    pub async fn told(&self) -> Reason {
        self.token.cancelled().await;
        // It is there before the token is cancelled.
        *self.reason.get_or_init(|| Reason::Gone)
    }
}
