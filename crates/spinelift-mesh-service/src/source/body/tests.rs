use super::*;
use crate::source::SourceLimits;
use crate::stopwatch::Stopwatch;
use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
const MIB: usize = 1024 * 1024;

fn deadlines() -> Deadlines {
    let hour = Duration::from_secs(3600);
    let limits = SourceLimits {
        bytes: 0,
        first_byte: hour,
        download: hour,
        all_tries: hour,
        tries: 1,
        cache: 0,
    };
    Deadlines::new(&limits, &Stopwatch::start(hour))
}

/// 12 MiB for files, 6 MiB for beginnings.
fn budget() -> MemoryBudget {
    MemoryBudget::new(48 * MIB as u64, 6 * MIB as u64).expect("fits")
}

/// A body that has sent 64 bytes.
async fn begun(memory: &MemoryBudget, announced: Option<u64>) -> Body {
    let mut deadlines = deadlines();
    let mut body = Body::begin(announced, 6 * MIB, memory, &mut deadlines)
        .await
        .expect("fits");
    let mut start = PNG.to_vec();
    start.resize(BEGINNING, 0);
    body.take(&start, memory, &mut deadlines)
        .await
        .expect("an image");
    body
}

async fn is_ready<F: Future>(future: &mut Pin<&mut F>) -> bool {
    poll_fn(|context| Poll::Ready(future.as_mut().poll(context).is_ready())).await
}

#[tokio::test]
async fn a_small_image_takes_what_it_is_long() {
    let memory = budget();
    let body = begun(&memory, None).await;
    assert_eq!(memory.free_for_beginnings(), 5 * MIB as u64);
    let (image, reservation) = body.end().expect("an image");
    assert_eq!(image.bytes.len(), BEGINNING);
    assert_eq!(image.digest, <[u8; 32]>::from(Sha256::digest(&image.bytes)));
    assert_eq!(memory.free_for_beginnings(), 6 * MIB as u64 - 1024);
    drop(reservation);
    assert_eq!(memory.free_for_beginnings(), 6 * MIB as u64);
}

#[tokio::test]
async fn a_large_image_takes_more_step_by_step_and_no_more_than_was_announced() {
    let memory = budget();
    let chunk = vec![0; MIB];
    for (announced, reserved) in [
        (Some(64 + MIB as u64), 64 + MIB),
        (Some(6 * MIB as u64), 4 * MIB),
        (None, 4 * MIB),
    ] {
        let mut body = begun(&memory, announced).await;
        body.take(&chunk, &memory, &mut deadlines())
            .await
            .expect("fits");
        let taken = (reserved as u64).div_ceil(1024) * 1024;
        assert_eq!(memory.free_for_files(), 12 * MIB as u64 - taken);
        assert_eq!(memory.free_for_beginnings(), 6 * MIB as u64);
        assert!(body.bytes.capacity() <= reserved + 1024);
    }
    let mut body = begun(&memory, None).await;
    for _ in 0..5 {
        let taken = body.take(&chunk, &memory, &mut deadlines()).await;
        taken.expect("fits");
    }
    assert_eq!(memory.free_for_files(), 6 * MIB as u64, "the limit");
    let (image, reservation) = body.end().expect("complete");
    assert_eq!(image.bytes.len(), 64 + 5 * MIB);
    assert_eq!(memory.free_for_files(), 7 * MIB as u64 - 1024);
    drop(reservation);
    assert_eq!(memory.free_for_files(), 12 * MIB as u64);
}

#[tokio::test]
async fn small_images_do_not_wait_for_large_ones() {
    let memory = budget();
    let _slow = memory.file(12 * MIB as u64).await.expect("fits");
    let mut large = begun(&memory, None).await;
    let (chunk, mut waits) = (vec![0; MIB], deadlines());
    let mut growing = pin!(large.take(&chunk, &memory, &mut waits));
    assert!(!is_ready(&mut growing).await);
    let small = begun(&memory, None).await;
    small.end().expect("an image");
}

/// Six downloads fill the share with what they begin with; then all of them want more, of which
/// there is room for three. If they waited for it without giving back what they have, none would
/// ever get the last step.
#[tokio::test]
async fn many_growing_downloads_never_wait_for_each_other() {
    let memory = budget();
    let chunk = vec![0; MIB];
    let mut bodies = Vec::new();
    for _ in 0..6 {
        bodies.push(begun(&memory, None).await);
    }
    assert_eq!(memory.free_for_beginnings(), 0);
    let download = async |mut body: Body| {
        for _ in 0..5 {
            let taken = body.take(&chunk, &memory, &mut deadlines()).await;
            taken.expect("fits");
            // The next chunk is not there yet.
            tokio::task::yield_now().await;
        }
        let (image, reservation) = body.end().expect("complete");
        assert_eq!(image.bytes.len(), 5 * MIB + 64);
        // Somebody computes with it for a while.
        tokio::task::yield_now().await;
        drop(reservation);
    };
    let mut downloads: Vec<_> = bodies
        .into_iter()
        .map(|body| Box::pin(download(body)))
        .collect();
    // Each is looked at in turn, from the last to the first and back: those who wait must not
    // depend on the order.
    let mut rounds = 0;
    while !downloads.is_empty() {
        let mut waiting = Vec::new();
        for mut future in downloads.into_iter().rev() {
            if !is_ready(&mut future.as_mut()).await {
                waiting.push(future);
            }
        }
        downloads = waiting;
        rounds += 1;
        assert!(rounds < 1000, "{} wait for ever", downloads.len());
    }
    assert_eq!(memory.free_for_files(), 12 * MIB as u64);
}

#[tokio::test]
async fn a_download_that_is_given_up_gives_everything_back() {
    let memory = budget();
    let held = memory.beginning(6 * MIB as u64).await.expect("fits");
    {
        let mut deadlines = deadlines();
        let mut beginning = pin!(Body::begin(None, 6 * MIB, &memory, &mut deadlines));
        assert!(!is_ready(&mut beginning).await);
    }
    drop(held);
    let mut body = begun(&memory, None).await;
    let held = memory.file(11 * MIB as u64).await.expect("fits");
    {
        let (chunk, mut deadlines) = (vec![0; MIB], deadlines());
        let mut growing = pin!(body.take(&chunk, &memory, &mut deadlines));
        assert!(!is_ready(&mut growing).await);
    }
    drop((held, body));
    assert_eq!(memory.free_for_files(), 12 * MIB as u64);
    assert_eq!(memory.free_for_beginnings(), 6 * MIB as u64);
}

#[tokio::test]
async fn what_is_no_image_is_refused_by_its_beginning() {
    let memory = budget();
    let mut body = Body::begin(Some(1 << 30), 6 * MIB, &memory, &mut deadlines())
        .await
        .expect("fits");
    let page = b"<!doctype html><title>Not found</title>".repeat(2);
    let error = body.take(&page, &memory, &mut deadlines()).await;
    assert!(
        matches!(&error, Err(Fault::NoImage(error)) if error.to_string().contains("HTML")),
        "{error:?}"
    );
    let mut body = Body::begin(Some(1 << 30), 6 * MIB, &memory, &mut deadlines())
        .await
        .expect("fits");
    let mut start = PNG.to_vec();
    start.resize(BEGINNING, 0);
    let error = body.take(&start, &memory, &mut deadlines()).await;
    assert!(matches!(error, Err(Fault::TooLarge(_))), "{error:?}");
}
