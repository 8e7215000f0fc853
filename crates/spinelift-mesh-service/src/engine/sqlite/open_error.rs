//! Why the database could not be opened.

use super::{opening, rows};
use rusqlite::ErrorCode;
use std::path::{Path, PathBuf};

/// Why the database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error(
        "the job database {} is in use by {}; one process owns it, so stop that one or set \
         DATABASE_PATH to another file",
        path.display(),
        .owner.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// Its owner's process id, as far as known.
        owner: Option<u32>,
    },
    /// A later version of the service wrote it.
    #[error(
        "the job database {} has schema version {found}, this service knows 1 to {supported}: \
         run the service that wrote it, or set DATABASE_PATH to another file",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The latest one known here.
        supported: i64,
    },
    /// It belongs to another program.
    #[error(
        "{} is an SQLite database of another program; set DATABASE_PATH to another file",
        path.display()
    )]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// It is damaged, or no database.
    #[error(
        "the job database {} is damaged or no SQLite database ({reason}); it was left as it is: \
         restore it from a backup, or move it away to start with an empty one",
        path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        reason: String,
    },
    /// The database is gone, and its write-ahead log, which may hold jobs, is still there.
    #[error(
        "the job database {} is missing or empty, but there are jobs in {}: restore the database, \
         or move that file away to start with an empty one",
        path.display(),
        opening::wal(path).display()
    )]
    Orphaned {
        /// The database.
        path: PathBuf,
    },
    /// Another program keeps it locked.
    #[error(
        "the job database {} is locked by another program (a backup, a shell): start again when \
         that has ended",
        path.display()
    )]
    Locked {
        /// The database.
        path: PathBuf,
    },
    /// SQLite could not use it for another reason.
    #[error("the job database {} cannot be opened: {source}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// The directory or the lock file cannot be used.
    #[error("{}: {source}", path.display())]
    Io {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A thread could not be started.
    #[error("the job engine's threads cannot be started: {source}")]
    Thread {
        /// What the system said.
        source: std::io::Error,
    },
}

impl OpenError {
    pub(super) fn of(path: &Path, source: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match source.sqlite_error_code() {
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => OpenError::Corrupt {
                path,
                reason: source.to_string(),
            },
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => OpenError::Locked { path },
            _ if rows::is_damage(&source) => OpenError::Corrupt {
                path,
                reason: source.to_string(),
            },
            _ => OpenError::Database { path, source },
        }
    }
}
