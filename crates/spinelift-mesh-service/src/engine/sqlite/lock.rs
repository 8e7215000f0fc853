//! One process owns a database file.

use super::OpenError;
use crate::private;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Locks `<database>.lock`, a file of its own: SQLite has plans for the bytes of the database.
/// The lock lasts as long as the file is open, and ends with the process however that ends.
pub(super) fn acquire(database: &Path) -> Result<File, OpenError> {
    let path = beside(database);
    let io = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
    if let Some(directory) = database.parent() {
        private::create_folder(directory).map_err(|source| OpenError::Io {
            path: directory.to_owned(),
            source,
        })?;
    }
    let mut file = private::creating().open(&path).map_err(io)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Who it is helps, but is not needed to refuse.
            let _ = file.read_to_string(&mut owner);
            return Err(OpenError::InUse {
                path: database.to_owned(),
                owner: owner.trim().parse().ok(),
            });
        }
        Err(TryLockError::Error(source)) => return Err(io(source)),
    }
    file.set_len(0)
        .and_then(|()| file.rewind())
        .and_then(|()| writeln!(file, "{}", std::process::id()))
        .map_err(io)?;
    Ok(file)
}

fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}
