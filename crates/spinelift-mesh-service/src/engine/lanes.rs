//! Lanes: how many jobs may load from one server at a time; and turns, of which there is one.

use std::fmt;

/// Permission to load from a job's server, until it is dropped.
#[must_use = "dropping it lets the next job of the same server begin"]
pub struct Lane(Option<Box<dyn FnOnce() + Send>>);

impl Lane {
    /// A lane that calls `free` when it is dropped.
    pub(super) fn new(free: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(free)))
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        if let Some(free) = self.0.take() {
            free();
        }
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lane")
    }
}

/// The right to do what nobody else does meanwhile, until it is dropped.
#[must_use = "dropping it lets the next have a turn"]
pub struct Turn(Option<Box<dyn FnOnce() + Send>>);

impl Turn {
    /// A turn that calls `end` when it is dropped.
    pub(super) fn new(end: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(end)))
    }

    /// A turn that nobody waits for.
    pub(super) fn free() -> Self {
        Self(None)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(end) = self.0.take() {
            end();
        }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Turn")
    }
}
