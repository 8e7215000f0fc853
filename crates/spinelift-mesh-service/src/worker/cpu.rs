//! Computation, kept off the asynchronous threads and to as many at a time as there are cores.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Semaphore;

/// Slots for computations.
#[derive(Debug, Clone)]
pub(crate) struct CpuSlots(Arc<Semaphore>);

/// A computation panicked; the message of the panic.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Panicked(pub(crate) String);

/// Tells a computation that nobody waits for it any more.
#[derive(Debug, Clone, Default)]
pub(crate) struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    pub(crate) fn is_raised(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Raises the flag when the future that waits is dropped.
struct RaiseOnDrop(StopFlag);

impl Drop for RaiseOnDrop {
    fn drop(&mut self) {
        self.0.0.store(true, Ordering::Relaxed);
    }
}

impl CpuSlots {
    /// One slot for each core.
    pub(crate) fn per_core() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self(Arc::new(Semaphore::new(cores)))
    }

    /// Waits for a slot and computes. Dropping the future raises the computation's flag; its slot
    /// becomes free only when it has really ended.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        compute: impl FnOnce(StopFlag) -> T + Send + 'static,
    ) -> Result<T, Panicked> {
        let slot = Arc::clone(&self.0).acquire_owned().await;
        let flag = StopFlag::default();
        let _raise = RaiseOnDrop(flag.clone());
        let task = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            // Nothing that the closure captured is used after a panic.
            catch_unwind(AssertUnwindSafe(|| compute(flag)))
                .map_err(|payload| Panicked(message(payload.as_ref())))
        });
        task.await
            .unwrap_or_else(|error| Err(Panicked(error.to_string())))
    }
}

fn message(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(ToString::to_string);
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_panic_is_an_error_and_frees_its_slot() {
        let slots = CpuSlots(Arc::new(Semaphore::new(1)));
        let result = slots.run(|_| -> () { panic!("index {} of 3", 7) }).await;
        assert_eq!(result, Err(Panicked("index 7 of 3".into())));
        assert_eq!(slots.run(|_| 5).await, Ok(5));
    }

    #[tokio::test]
    async fn a_computation_nobody_waits_for_is_told_so() {
        let slots = CpuSlots(Arc::new(Semaphore::new(1)));
        let endless = slots.run(|flag| {
            while !flag.is_raised() {
                std::thread::yield_now();
            }
        });
        assert!(
            tokio::time::timeout(Duration::from_millis(20), endless)
                .await
                .is_err()
        );
        // The only slot comes free because the computation heard.
        assert_eq!(slots.run(|_| 1).await, Ok(1));
    }
}
