//! Secrets that all nodes share.

use super::scripts::SECRET;
use super::{Shared, unexpected};
use crate::engine::EngineError;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::fmt::Write;

/// Those that this node knows, in hexadecimal. It tells a server that has lost its data of them.
#[derive(Default)]
pub(super) struct Secrets(Mutex<HashMap<&'static str, String>>);

impl Secrets {
    pub(super) fn all(&self) -> Vec<(String, String)> {
        let known = self.0.lock();
        known
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect()
    }
}

/// The secret of a name.
pub(super) async fn get(shared: &Shared, name: &'static str) -> Result<[u8; 32], EngineError> {
    let known = shared.secrets.0.lock().get(name).cloned();
    let text = match known {
        Some(known) => known,
        None => {
            let text: String = shared.link.run(&SECRET, &[name, &fresh()?]).await?;
            shared.secrets.0.lock().insert(name, text.clone());
            text
        }
    };
    bytes(&text).ok_or_else(|| unexpected("a secret that is none"))
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
