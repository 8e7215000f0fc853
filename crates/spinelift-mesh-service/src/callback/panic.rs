//! Panics while something is told.

use super::post::NotTaken;
use futures_util::FutureExt;
use std::panic::AssertUnwindSafe;

/// Makes of a panic a failure like any other: whoever waits for the end of an attempt would wait
/// for ever, and what was to be told would be lost until the next start.
pub(super) async fn surviving<T>(attempt: impl Future<Output = T>) -> Result<T, NotTaken> {
    let made = AssertUnwindSafe(attempt).catch_unwind().await;
    made.map_err(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        tracing::error!(panic = text.unwrap_or("no message"), "a callback panicked");
        NotTaken::unanswered("a defect in the service; it has been logged")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_is_a_failure() {
        let made: Result<(), _> = surviving(async { panic!("a defect") }).await;
        let failure = made.expect_err("it failed");
        assert_eq!(failure.status, None);
        assert!(failure.reason.contains("defect"), "{}", failure.reason);
        assert_eq!(surviving(async { 1 }).await.ok(), Some(1));
    }
}
