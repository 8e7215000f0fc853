//! The wall clock. It may be set at any time, in either direction: what must not stop or end with
//! it goes by [`std::time::Instant`].

use crate::fault;
use chrono::{DateTime, Utc};

/// What the wall clock shows.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now() + fault::clock_offset()
}
