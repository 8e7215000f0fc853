//! Secrets that all nodes share.

use super::scripts::SECRET;
use super::{Shared, unexpected};
use crate::engine::EngineError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long nodes must have been heard before a secret is made. One that runs reaches a server that
/// has lost its data within this time, and tells it those of before.
const SETTLE: Duration = Duration::from_secs(3);

/// Pauses between looks for whether there is one now, and how many there are.
const PAUSE: Duration = Duration::from_millis(100);
const LOOKS: u32 = 100;

/// Those that this node knows, in hexadecimal. It tells a server that has lost its data of them.
#[derive(Default)]
pub(super) struct Secrets {
    known: Mutex<HashMap<&'static str, String>>,
    are_lost: AtomicBool,
}

impl Secrets {
    /// Others go by other secrets of these names.
    pub(super) fn lose(&self, names: &[String]) {
        if !names.is_empty() && !self.are_lost.swap(true, Ordering::Relaxed) {
            tracing::error!(
                secrets = names.join(", "),
                "Redis lost its data, and another node made secrets anew before this one could tell \
                 those of before: restart this node, since it signs URLs and names results as no \
                 other does"
            );
        }
    }

    pub(super) fn all(&self) -> Vec<(String, String)> {
        let known = self.known.lock();
        known
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }
}

/// The secret of a name.
pub(super) async fn get(shared: &Shared, name: &'static str) -> Result<[u8; 32], EngineError> {
    let known = shared.secrets.known.lock().get(name).cloned();
    let text = match known {
        Some(known) => known,
        None => {
            let text = known_or_made(shared, name).await?;
            shared.secrets.known.lock().insert(name, text.clone());
            text
        }
    };
    bytes(&text).ok_or_else(|| unexpected("a secret that is none"))
}

async fn known_or_made(shared: &Shared, name: &str) -> Result<String, EngineError> {
    let fresh = fresh()?;
    let settle = SETTLE.min(shared.lease / 2).as_millis().to_string();
    for _ in 0..LOOKS {
        let text: String = shared.link.run(&SECRET, &[name, &fresh, &settle]).await?;
        if !text.is_empty() {
            return Ok(text);
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(unexpected("no node is heard, not even this one"))
}

fn fresh() -> Result<String, EngineError> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| EngineError::Unavailable {
        reason: error.to_string(),
    })?;
    Ok(hexadecimal(&bytes))
}

/// Bytes as text.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

fn bytes(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * index..2 * index + 2], 16).ok()?;
    }
    Some(bytes)
}
