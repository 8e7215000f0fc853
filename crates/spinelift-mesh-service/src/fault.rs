//! Where tests stop the process, to kill it at that very point, and how they set its clock.
//!
//! All of it is nothing without the cargo feature `fault-points`, which the tests of the command
//! alone turn on.

use chrono::TimeDelta;

/// Stops here if `SPINELIFT_STOP_AT` names this point, and tells so by writing the name into the
/// file that `SPINELIFT_STOPPED` names. Goes on once the file is gone, if ever.
#[cfg(feature = "fault-points")]
pub(crate) async fn point(name: &str) {
    if let Some(file) = stops_at(name) {
        while file.exists() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }
}

#[cfg(not(feature = "fault-points"))]
pub(crate) async fn point(_name: &str) {}

/// [`point`] for threads that may block.
#[cfg(feature = "fault-points")]
pub(crate) fn blocking_point(name: &str) {
    if stops_at(name).is_some() {
        loop {
            std::thread::park();
        }
    }
}

#[cfg(not(feature = "fault-points"))]
pub(crate) fn blocking_point(_name: &str) {}

#[cfg(feature = "fault-points")]
fn stops_at(name: &str) -> Option<std::path::PathBuf> {
    let stops = std::env::var("SPINELIFT_STOP_AT").is_ok_and(|point| point == name);
    let file = std::env::var_os("SPINELIFT_STOPPED").filter(|_| stops)?;
    // The test waits for the file, and fails if there is none.
    let _ = std::fs::write(&file, name);
    Some(file.into())
}

/// How far off the wall clock is: as many seconds as the file says that
/// `SPINELIFT_CLOCK_OFFSET_FILE` names.
#[cfg(feature = "fault-points")]
pub(crate) fn clock_offset() -> TimeDelta {
    let read = || {
        let file = std::env::var_os("SPINELIFT_CLOCK_OFFSET_FILE")?;
        let text = std::fs::read_to_string(file).ok()?;
        TimeDelta::try_seconds(text.trim().parse().ok()?)
    };
    read().unwrap_or_default()
}

#[cfg(not(feature = "fault-points"))]
pub(crate) fn clock_offset() -> TimeDelta {
    TimeDelta::zero()
}
