//! The folder of a storage, and how it is known to be still the same.

use super::error::StorageError;
use crate::private;
use std::io;
use std::path::Path;
use std::sync::Arc;

/// A file that stays in the folder. Where it is missing, objects are not gone: the folder is another
/// one.
pub(super) const MARK: &str = ".spinelift-mesh";

#[derive(Clone)]
pub(super) struct Folder {
    mark: Arc<Path>,
}

impl Folder {
    /// Makes the folder if it does not exist, and finds out now, rather than with the first result,
    /// whether it can be written to.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        private::create_folder(path)?;
        let probe = path.join(format!(".probe-{}", std::process::id()));
        std::fs::write(&probe, b"")?;
        std::fs::remove_file(&probe)?;
        let mark = path.join(MARK);
        private::create_file(&mark)?;
        Ok(Self { mark: mark.into() })
    }

    /// Whether it is what it was when it was opened.
    pub(super) async fn check(&self) -> Result<(), StorageError> {
        match tokio::fs::try_exists(&self.mark).await {
            Ok(false) => Err(StorageError::OtherFolder),
            // What cannot be looked at is told by who reads or writes.
            Ok(true) | Err(_) => Ok(()),
        }
    }
}
