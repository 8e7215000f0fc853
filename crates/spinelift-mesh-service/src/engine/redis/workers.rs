//! Whether some node runs jobs: for those that only accept them.

use parking_lot::Mutex;
use std::time::{Duration, Instant};

/// What is known of the nodes that run jobs.
#[derive(Default)]
pub(super) struct Workers(Mutex<State>);

#[derive(Default, Clone, Copy)]
enum State {
    #[default]
    Heard,
    /// For less than a lease: they may be about to start.
    SilentSince(Instant),
    Missing,
}

impl Workers {
    /// Takes note whether one is heard; says in the log when that changes.
    pub(super) fn are_heard(&self, heard: bool, lease: Duration, node: &str) {
        let mut state = self.0.lock();
        *state = match (*state, heard) {
            (State::Missing, true) => {
                tracing::info!(node, "a node that runs jobs is alive again");
                State::Heard
            }
            (_, true) => State::Heard,
            (State::Heard, false) => State::SilentSince(Instant::now()),
            (State::SilentSince(since), false) if since.elapsed() >= lease => {
                tracing::warn!(
                    node,
                    "no node that runs jobs is alive: jobs are accepted, and wait until one with \
                     ROLE=worker or all starts"
                );
                State::Missing
            }
            (state, false) => state,
        };
    }

    pub(super) fn are_missing(&self) -> bool {
        matches!(*self.0.lock(), State::Missing)
    }
}
