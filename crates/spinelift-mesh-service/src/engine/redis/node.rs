//! Who this node is: no two that run have one name.

use super::link::Link;
use super::scripts::{COMPARE, ENTER, LEAVE};
use super::token;
use crate::engine::EngineError;
use parking_lot::RwLock;
use std::time::{Duration, Instant};

/// The name of a node, and what tells it from another of the same name.
pub(super) struct Node {
    name: RwLock<String>,
    pub(super) token: String,
}

impl Node {
    /// `name` as it was set, or a name that nobody else has.
    pub(super) fn new(name: Option<&str>) -> Self {
        Self {
            name: RwLock::new(name.map_or_else(unique_name, str::to_owned)),
            token: token(),
        }
    }

    pub(super) fn name(&self) -> String {
        self.name.read().clone()
    }

    /// Takes the name, or waits until a node of that name that has died has lost it.
    ///
    /// # Errors
    /// `Ok(false)`: another node has it, and lives. [`EngineError::Unavailable`].
    pub(super) async fn take_name(
        &self,
        link: &Link,
        lease: Duration,
    ) -> Result<bool, EngineError> {
        let key = format!("node:{}", self.name());
        let milliseconds = lease.as_millis().to_string();
        let patience = lease + lease / 2;
        let until = Instant::now() + patience;
        let mut has_said_so = false;
        loop {
            let args = [key.as_str(), &self.token, &milliseconds];
            if link.run::<u8>(&ENTER, &args).await? == 1 {
                return Ok(true);
            }
            if Instant::now() >= until {
                return Ok(false);
            }
            if !has_said_so {
                has_said_so = true;
                let (name, seconds) = (self.name(), patience.as_secs_f64());
                tracing::warn!(
                    node = name,
                    "another node named {name} (NODE_NAME) may still be running; waiting up to \
                     {seconds} s for its name, which is free JOB_LEASE after its last sign of life"
                );
            }
            tokio::time::sleep(lease / 10).await;
        }
    }

    /// Tells the other nodes the lease of this one, and what it signs with. Both may differ from
    /// theirs, as they have to while they are being changed one node after the other; but nobody
    /// should leave it at that.
    pub(super) async fn compare(
        &self,
        link: &Link,
        lease: Duration,
        signing: &str,
    ) -> Result<(), EngineError> {
        let (name, milliseconds) = (self.name(), lease.as_millis().to_string());
        let args = [name.as_str(), &milliseconds, signing];
        type Others = (Vec<(String, u64)>, Vec<String>);
        let (others, strangers): Others = link.run(&COMPARE, &args).await?;
        if let Some((other, others_lease)) = others.first() {
            tracing::warn!(
                node = name,
                lease = lease.as_secs_f64(),
                other_node = other,
                other_lease = Duration::from_millis(*others_lease).as_secs_f64(),
                nodes = others.len(),
                "JOB_LEASE differs between nodes that run: the longest counts for all of them, until \
                 it is set to the same everywhere"
            );
        }
        if let Some(other) = strangers.first() {
            tracing::warn!(
                node = name,
                other_node = other,
                nodes = strangers.len(),
                "URL_SIGNING_KEY differs between nodes that run: result URLs that one has signed are \
                 refused by the other, until it is set to the same everywhere"
            );
        }
        Ok(())
    }

    /// Gives the name back.
    pub(super) async fn leave(&self, link: &Link) {
        let key = format!("node:{}", self.name());
        // If this fails it expires.
        let _ = link.run::<u8>(&LEAVE, &[&key, &self.token]).await;
    }

    /// Another node has taken the name while this one slept: it goes by another from now on.
    pub(super) fn rename(&self) {
        let mut name = self.name.write();
        let fresh = format!("{name}-{:08x}", fastrand::u32(..));
        tracing::error!(
            node = *name,
            renamed = fresh,
            "another node has this node's name: it was stopped for longer than JOB_LEASE, or \
             NODE_NAME is set twice"
        );
        *name = fresh;
    }
}

/// The host's name and something random.
fn unique_name() -> String {
    let host = std::env::var("HOSTNAME").ok();
    let host = host.filter(|name| !name.is_empty()).or_else(|| {
        let name = std::fs::read_to_string("/etc/hostname").ok()?;
        Some(name.trim().to_owned()).filter(|name| !name.is_empty())
    });
    let host = host.unwrap_or_else(|| "node".to_owned());
    format!("{host}-{:08x}", fastrand::u32(..))
}
