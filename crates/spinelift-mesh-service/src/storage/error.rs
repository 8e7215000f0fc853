//! What can be wrong with the storage.

use super::folder::MARK;
use super::s3;
use crate::s3::S3Error;
use std::io;
use std::path::PathBuf;

/// The storage cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum OpenStorageError {
    /// The directory cannot be made or written to.
    #[error("results cannot be stored in {} (STORAGE_PATH): {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store cannot use it.
    #[error("results cannot be stored in {} (STORAGE_PATH): {source}", path.display())]
    Store {
        /// The directory.
        path: PathBuf,
        /// What the store said.
        source: object_store::Error,
    },
    /// The setting is missing.
    #[error("STORAGE_BACKEND=s3 needs S3_BUCKET, the bucket to keep results in")]
    NoBucket,
    /// The S3 server cannot be used with these settings.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The bucket cannot be used.
    #[error("results cannot be stored in the S3 bucket {bucket}: {reason}")]
    Bucket {
        /// `S3_BUCKET`.
        bucket: String,
        /// What is wrong, and which setting may be.
        reason: String,
    },
}

/// An object could not be written, read or removed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StorageError {
    /// The store says why.
    #[error(transparent)]
    Store(#[from] object_store::Error),
    /// The folder is there, but not what was in it: its disk is not mounted, say.
    #[error(
        "STORAGE_PATH is not the folder that it was at the start: its file {MARK} is missing; mount \
         the disk again, or restart the service to begin with an empty folder"
    )]
    OtherFolder,
}

impl StorageError {
    /// Whether there is no such object, rather than no access to it.
    pub(crate) fn is_missing(&self) -> bool {
        match self {
            Self::Store(error) => {
                matches!(error, object_store::Error::NotFound { .. }) && !s3::is_no_bucket(error)
            }
            Self::OtherFolder => false,
        }
    }
}
