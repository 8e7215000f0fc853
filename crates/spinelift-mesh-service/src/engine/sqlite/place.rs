//! Where the database file is, and whether it is there still: what is written to a file that was
//! removed or replaced is gone with the process.

use crate::engine::EngineError;
use std::path::{Path, PathBuf};

/// The path of an open file, and which file it was.
pub(super) struct Place {
    path: PathBuf,
    file: Option<(u64, u64)>,
}

impl Place {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            file: file_at(path),
        }
    }

    /// Fails if another file is there now, or none. One call of the system, so that each group of
    /// writes can ask.
    pub(super) fn check(&self) -> Result<(), EngineError> {
        if file_at(&self.path) == self.file {
            return Ok(());
        }
        Err(EngineError::Unusable {
            reason: "the file at DATABASE_PATH was removed or replaced while the service runs: \
                     put it back, or restart the service to use what is there now"
                .to_owned(),
        })
    }
}

/// Device and number of a file.
#[cfg(unix)]
fn file_at(path: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    let metadata = std::fs::metadata(path).ok()?;
    Some((metadata.dev(), metadata.ino()))
}

/// Elsewhere open files can be neither removed nor replaced.
#[cfg(not(unix))]
fn file_at(_path: &Path) -> Option<(u64, u64)> {
    None
}
