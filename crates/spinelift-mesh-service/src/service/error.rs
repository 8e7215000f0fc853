//! Why the service cannot run.

use crate::address::OutboundError;
use crate::backend::OpenBackendError;
use crate::engine::EngineError;
use crate::memory::BudgetTooSmall;
use crate::s3::S3Error;
use crate::storage::OpenStorageError;
use std::io;
use std::net::SocketAddr;

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Settings do not fit together.
    #[error("{0}")]
    Conflict(&'static str),
    /// The S3 server cannot be used with these settings.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The jobs cannot be opened.
    #[error(transparent)]
    Jobs(#[from] OpenBackendError),
    /// The jobs cannot be written.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The result storage cannot be used.
    #[error(transparent)]
    Storage(#[from] OpenStorageError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The memory is not enough for one image.
    #[error(transparent)]
    Memory(#[from] BudgetTooSmall),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (HOST, PORT): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Why the service stopped serving.
#[derive(Debug, thiserror::Error)]
#[error("the service cannot go on serving: {0}")]
pub struct ServeError(#[from] io::Error);
