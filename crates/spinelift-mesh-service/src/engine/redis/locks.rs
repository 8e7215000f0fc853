//! Locks that expire with their node: who makes a result, stores an image that came along with a
//! job, and tells the receiver of a batch.
//! Almost always to lose one does no harm: results have names of their own, ends are fenced.

use super::Shared;
use super::scripts::{ENTER, LEAVE, TELL};
use super::token;
use crate::engine::{EngineError, Turn, Work};
use crate::job::JobId;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

/// How long a lock is waited for before it is asked for again: the message that it is free may be
/// lost.
const POLL: Duration = Duration::from_millis(300);

/// The locks that this node has, with their tokens.
#[derive(Default)]
pub(super) struct Locks {
    held: Mutex<HashMap<String, String>>,
    /// One was given back by some node.
    pub(super) left: Notify,
}

impl Locks {
    /// All of them, with their tokens.
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let held = self.held.lock();
        held.iter()
            .map(|(name, token)| (name.clone(), token.clone()))
            .collect()
    }
}

/// Waits for the turn to do something. Without the server everybody has it.
pub(super) async fn turn(shared: &Arc<Shared>, work: &Work) -> Turn {
    let name = match work {
        Work::Result(key) => format!("flight:{}", key.as_str()),
        Work::Upload(name) => format!("upload:{name}"),
    };
    let token = token();
    loop {
        let left = shared.locks.left.notified();
        match enter(shared, &name, &token).await {
            Ok(true) => return hold(shared, name, token),
            Ok(false) => {}
            Err(error) => {
                tracing::debug!(%error, "no lock; others may do the same");
                return Turn::new(|| {});
            }
        }
        again(left).await;
    }
}

async fn enter(shared: &Shared, name: &str, token: &str) -> Result<bool, EngineError> {
    let lease = shared.lease_text();
    let entered: u8 = shared.link.run(&ENTER, &[name, token, &lease]).await?;
    Ok(entered == 1)
}

/// Waits for the turn to tell the receiver of a batch that so many jobs have ended; `None` if
/// somebody else has told as much.
pub(super) async fn telling(shared: &Arc<Shared>, batch: &JobId, ended: u32) -> Option<Turn> {
    let (token, lease, ended) = (token(), shared.lease_text(), ended.to_string());
    let args = [batch.as_str(), &token, &lease, &ended];
    loop {
        let left = shared.locks.left.notified();
        match shared.link.run::<String>(&TELL, &args).await.as_deref() {
            Ok("told") => return None,
            Ok("busy") => {}
            Ok(_) => return Some(hold(shared, format!("telling:{batch}"), token)),
            Err(error) => {
                tracing::debug!(%error, %batch, "the progress of a batch is not told");
                return None;
            }
        }
        again(left).await;
    }
}

/// Waits until a lock may be free.
async fn again(left: impl Future<Output = ()>) {
    tokio::select! {
        () = left => {}
        () = tokio::time::sleep(POLL.mul_f64(0.75 + fastrand::f64() / 2.0)) => {}
    }
}

/// Keeps a lock until the turn is dropped.
fn hold(shared: &Arc<Shared>, name: String, token: String) -> Turn {
    shared.locks.held.lock().insert(name.clone(), token.clone());
    let shared = Arc::clone(shared);
    let runtime = tokio::runtime::Handle::current();
    Turn::new(move || {
        let mut held = shared.locks.held.lock();
        if held.get(&name) == Some(&token) {
            held.remove(&name);
        }
        drop(held);
        runtime.spawn(async move {
            // If this fails it expires.
            let _ = shared.link.run::<u8>(&LEAVE, &[&name, &token]).await;
        });
    })
}
