//! How much memory may be taken at a time by what requests bring in.

use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

const KIB: u64 = 1024;

/// `MEMORY_BUDGET`, divided into shares that are fixed: half is for computing, a quarter for image
/// files in memory, an eighth for small ones and the beginnings of all, an eighth for request
/// bodies.
///
/// With one pot for all, image files could take the whole of it while each of them waits for the
/// memory to compute with, for ever. With shares there is an order: who holds a part of the files'
/// share may wait for the computing share, and who holds a part of the computing share waits for
/// nothing. Bodies wait for nothing at all. So somebody can always go on. And small images, which
/// most are, never wait for large ones that come slowly.
#[derive(Debug, Clone)]
pub(crate) struct MemoryBudget {
    computing: Share,
    files: Share,
    beginnings: Share,
    bodies: Share,
}

/// What is taken from a share; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Reservation(OwnedSemaphorePermit);

/// More was asked for than the whole share has: waiting would not help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{needed} bytes of memory are needed, and {available} are there; \
     raise MEMORY_BUDGET, of which this is {part}"
)]
pub(crate) struct TooLarge {
    /// What was asked for.
    pub(crate) needed: u64,
    /// What the share has.
    pub(crate) available: u64,
    part: &'static str,
}

/// The budget has no room for one image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "MAX_IMAGE_BYTES={image_bytes} does not fit into the {available} bytes that MEMORY_BUDGET={budget} \
     leaves for image files; raise MEMORY_BUDGET to {needed_budget} or lower MAX_IMAGE_BYTES"
)]
pub struct BudgetTooSmall {
    /// `MEMORY_BUDGET`.
    pub budget: u64,
    /// The share for image files.
    pub available: u64,
    /// `MAX_IMAGE_BYTES`.
    pub image_bytes: u64,
    /// The least budget that has room.
    pub needed_budget: u64,
}

impl MemoryBudget {
    /// Divides `budget` bytes, of which one image file may take `image_bytes`.
    pub(crate) fn new(budget: u64, image_bytes: u64) -> Result<Self, BudgetTooSmall> {
        let share =
            |eighths: u64, part| Share::new(u128::from(budget) * u128::from(eighths) / 8, part);
        let files = share(2, "one quarter");
        if image_bytes > files.bytes() {
            // Rounded up to whole KiB, as reservations are.
            let needed = u128::from(image_bytes.div_ceil(KIB) * KIB) * 4;
            return Err(BudgetTooSmall {
                budget,
                available: files.bytes(),
                image_bytes,
                needed_budget: u64::try_from(needed).unwrap_or(u64::MAX),
            });
        }
        Ok(Self {
            computing: share(4, "one half"),
            files,
            beginnings: share(1, "one eighth"),
            bodies: share(1, "one eighth"),
        })
    }

    /// Waits for memory to compute with; who asked first gets it first.
    pub(crate) async fn computing(&self, bytes: u64) -> Result<Reservation, TooLarge> {
        self.computing.take(bytes).await
    }

    /// Waits for memory for an image file; who asked first gets it first.
    pub(crate) async fn file(&self, bytes: u64) -> Result<Reservation, TooLarge> {
        self.files.take(bytes).await
    }

    /// The most that [`beginning`](Self::beginning) has.
    pub(crate) fn beginnings(&self) -> u64 {
        self.beginnings.bytes()
    }

    /// Waits for memory for the beginning of an image file; who asked first gets it first.
    pub(crate) async fn beginning(&self, bytes: u64) -> Result<Reservation, TooLarge> {
        self.beginnings.take(bytes).await
    }

    /// Memory for the body of a request, if there is some left.
    pub(crate) fn try_body(&self, bytes: u64) -> Option<Reservation> {
        self.bodies.try_take(bytes)
    }
}

impl Reservation {
    /// Makes one of two of the same share.
    pub(crate) fn add(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Gives back what is not needed after all.
    pub(crate) fn shrink_to(&mut self, bytes: u64) {
        let excess = self.0.num_permits().saturating_sub(permits(bytes) as usize);
        drop(self.0.split(excess));
    }
}

/// A semaphore with a permit for each KiB. Those who wait are served in their order: one who
/// waits for much is not overtaken for ever by others who want little.
#[derive(Debug, Clone)]
struct Share {
    free: Arc<Semaphore>,
    permits: u32,
    part: &'static str,
}

impl Share {
    fn new(bytes: u128, part: &'static str) -> Self {
        let most = u128::from(u32::MAX).min(Semaphore::MAX_PERMITS as u128);
        let permits = (bytes / u128::from(KIB)).min(most) as u32;
        Self {
            free: Arc::new(Semaphore::new(permits as usize)),
            permits,
            part,
        }
    }

    fn bytes(&self) -> u64 {
        u64::from(self.permits) * KIB
    }

    async fn take(&self, bytes: u64) -> Result<Reservation, TooLarge> {
        let too_large = TooLarge {
            needed: bytes,
            available: self.bytes(),
            part: self.part,
        };
        if permits(bytes) > self.permits {
            return Err(too_large);
        }
        let taken = Arc::clone(&self.free)
            .acquire_many_owned(permits(bytes))
            .await;
        // The semaphore is never closed.
        taken.map(Reservation).map_err(|_| too_large)
    }

    fn try_take(&self, bytes: u64) -> Option<Reservation> {
        let taken = Arc::clone(&self.free).try_acquire_many_owned(permits(bytes));
        taken.ok().map(Reservation)
    }
}

fn permits(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(KIB)).unwrap_or(u32::MAX)
}

#[cfg(test)]
impl MemoryBudget {
    /// What is free in the share for beginnings, in bytes.
    pub(crate) fn free_for_beginnings(&self) -> u64 {
        self.beginnings.free.available_permits() as u64 * KIB
    }

    /// What is free in the share for files, in bytes.
    pub(crate) fn free_for_files(&self) -> u64 {
        self.files.free.available_permits() as u64 * KIB
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::{Future, poll_fn};
    use std::pin::pin;
    use std::task::Poll;

    /// 8 KiB: 4 for computing, 2 for files, 1 for beginnings, 1 for bodies.
    fn budget() -> MemoryBudget {
        MemoryBudget::new(8 * KIB, 2 * KIB).expect("fits")
    }

    /// Whether a future is ready after one look at it.
    async fn is_ready<F: Future>(future: &mut std::pin::Pin<&mut F>) -> bool {
        poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
    }

    #[tokio::test]
    async fn who_asked_first_gets_it_first() {
        let budget = budget();
        let held = budget.computing(3 * KIB).await.expect("fits");
        let mut large = pin!(budget.computing(4 * KIB));
        let mut small = pin!(budget.computing(1));
        assert!(!is_ready(&mut large).await);
        // There would be room for it, but the large one came first.
        assert!(!is_ready(&mut small).await);
        drop(held);
        let large = large.await.expect("fits");
        assert!(!is_ready(&mut small).await);
        drop(large);
        assert!(small.await.is_ok());
    }

    #[tokio::test]
    async fn who_waits_and_gives_up_holds_up_nobody() {
        let budget = budget();
        let held = budget.computing(3 * KIB).await.expect("fits");
        {
            let mut large = pin!(budget.computing(4 * KIB));
            assert!(!is_ready(&mut large).await);
        }
        assert!(is_ready(&mut pin!(budget.computing(KIB))).await);
        drop(held);
        assert_eq!(budget.computing.free.available_permits(), 4);
    }

    #[tokio::test]
    async fn what_never_fits_is_said_at_once_with_the_setting() {
        let budget = budget();
        let _held = budget.computing(4 * KIB).await.expect("fits");
        let text = budget
            .computing(4 * KIB + 1)
            .await
            .expect_err("too large")
            .to_string();
        for part in ["4097 bytes", "4096 are there", "MEMORY_BUDGET", "one half"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(budget.file(u64::MAX).await.is_err());
    }

    #[tokio::test]
    async fn bodies_never_wait_and_shares_are_apart() {
        let budget = budget();
        let _files = budget.file(2 * KIB).await.expect("fits");
        let _beginning = budget.beginning(KIB).await.expect("fits");
        let _computing = budget.computing(4 * KIB).await.expect("fits");
        let body = budget.try_body(1000).expect("there is room");
        assert!(budget.try_body(1).is_none());
        assert!(budget.try_body(u64::MAX).is_none());
        drop(body);
        assert!(budget.try_body(1024).is_some());
    }

    #[tokio::test]
    async fn what_is_not_needed_is_given_back() {
        let budget = budget();
        let mut file = budget.file(2 * KIB).await.expect("fits");
        file.shrink_to(1023);
        assert_eq!(budget.free_for_files(), KIB);
        // Never more than there was.
        file.shrink_to(100 * KIB);
        assert_eq!(budget.free_for_files(), KIB);
        drop(file);
        assert_eq!(budget.free_for_files(), 2 * KIB);
    }

    #[test]
    fn a_budget_without_room_for_one_image_says_what_to_change() {
        let error = MemoryBudget::new(1000 * KIB, 400 * KIB).expect_err("250 KiB are there");
        assert_eq!(error.available, 250 * KIB);
        let text = error.to_string();
        for part in [
            "MAX_IMAGE_BYTES=409600",
            "MEMORY_BUDGET=1024000",
            "256000 bytes",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(MemoryBudget::new(error.needed_budget, 400 * KIB).is_ok());
        assert!(MemoryBudget::new(error.needed_budget - KIB, 400 * KIB).is_err());
        assert!(MemoryBudget::new(u64::MAX, u64::from(u32::MAX)).is_ok());
    }
}
