//! Why the engine could not be opened.

use super::{Refusal, Unsuitable};
use std::path::PathBuf;

/// Why an engine could not be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The file of authorities cannot be read.
    #[error("the certificates in {} (REDIS_CA_FILE) cannot be read: {source}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The URL, or the certificates, cannot be used.
    #[error("{url} (REDIS_URL) cannot be used: {reason}")]
    Url {
        /// The URL, without its secrets.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot be reached.
    #[error("{url} (REDIS_URL) cannot be reached: {reason}")]
    Unreachable {
        /// The URL, without its secrets.
        url: String,
        /// Why.
        reason: String,
    },
    /// Something answers, and cannot be worked with.
    #[error("{url} (REDIS_URL): {reason}")]
    Refused {
        /// The URL, without its secrets.
        url: String,
        /// Why.
        reason: Refusal,
    },
    /// The server is not fit to be entrusted with jobs.
    #[error("{url} (REDIS_URL): {reason}")]
    Unsuitable {
        /// The URL, without its secrets.
        url: String,
        /// Why.
        reason: Unsuitable,
    },
    /// Another node has the name.
    #[error(
        "another node named {name} is running (NODE_NAME); each needs a name of its own, or none"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
}
