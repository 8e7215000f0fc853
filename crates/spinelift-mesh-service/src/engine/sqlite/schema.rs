//! The database file: opening it, its schema, and what to do with the jobs of a process that died.

use super::rows;
use crate::job::{Job, JobError, JobId};
use chrono::Utc;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The version of the schema, in the file's `user_version`. Raise it with every change.
const VERSION: u32 = 1;

/// `SPLM`, in the file's `application_id`: tells our files from those of other programs.
const APPLICATION: u32 = u32::from_be_bytes(*b"SPLM");

/// Files up to this size are checked page by page at start; it takes some 0.1 s. Larger ones are
/// left to the checks that SQLite makes while reading.
const CHECKED_UP_TO: u64 = 64 * 1024 * 1024;

/// How long a lock held by another program (a backup, a shell) is waited for.
const BUSY: Duration = Duration::from_secs(2);

const CREATE: &str = "
    CREATE TABLE jobs (
        -- The order in which jobs were accepted.
        seq         INTEGER PRIMARY KEY,
        id          TEXT NOT NULL UNIQUE,
        request     TEXT NOT NULL,
        base_url    TEXT NOT NULL,
        state       TEXT NOT NULL CHECK (state IN ('queued', 'running', 'completed', 'failed')),
        attempts    INTEGER NOT NULL DEFAULT 0,
        percent     INTEGER NOT NULL DEFAULT 0,
        error       TEXT,
        -- Milliseconds since 1970, UTC.
        created_at  INTEGER NOT NULL,
        started_at  INTEGER,
        finished_at INTEGER
    ) STRICT;
    -- Holds the few jobs that a start has to look at, however many have ended.
    CREATE INDEX jobs_unfinished ON jobs (seq) WHERE state IN ('queued', 'running');
";

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
        "the job database {} has schema version {found}, this service knows up to {supported}: \
         run the newer service, or set DATABASE_PATH to another file",
        path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: u32,
        /// The latest one known here.
        supported: u32,
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
            _ => OpenError::Database { path, source },
        }
    }
}

/// Opens the connection that writes. A file that is not ours is not touched: it is looked at
/// through a read-only connection first.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let size = std::fs::metadata(path).map_or(0, |metadata| metadata.len());
    let exists = size > 0 || wal_exists(path);
    if exists {
        inspect(path, size)?;
    }
    let of = |source| OpenError::of(path, source);
    let mut connection = Connection::open(path).map_err(of)?;
    configure(&connection).map_err(of)?;
    migrate(&mut connection).map_err(of)?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let of = |source| OpenError::of(path, source);
    let connection = Connection::open_with_flags(path, flags).map_err(of)?;
    connection.busy_timeout(BUSY).map_err(of)?;
    Ok(connection)
}

fn wal_exists(path: &Path) -> bool {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    std::fs::metadata(wal).is_ok_and(|metadata| metadata.len() > 0)
}

/// Refuses what is not ours, newer or damaged.
fn inspect(path: &Path, size: u64) -> Result<(), OpenError> {
    let of = |source| OpenError::of(path, source);
    let connection = open_for_reading(path)?;
    let application: u32 = pragma(&connection, "application_id").map_err(of)?;
    let version: u32 = pragma(&connection, "user_version").map_err(of)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(of)?;
    if application != APPLICATION && (tables > 0 || application != 0) {
        return Err(OpenError::Foreign { path: path.into() });
    }
    if version > VERSION {
        return Err(OpenError::Newer {
            path: path.into(),
            found: version,
            supported: VERSION,
        });
    }
    if size <= CHECKED_UP_TO {
        let verdict: String = connection
            .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
            .map_err(of)?;
        if verdict != "ok" {
            return Err(OpenError::Corrupt {
                path: path.into(),
                reason: verdict,
            });
        }
    }
    Ok(())
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<u32> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // In WAL mode NORMAL would lose the last commits in a power cut: an accepted job must stay.
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(())
}

fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version = pragma(&transaction, "user_version")?;
    if version < 1 {
        transaction.execute_batch(CREATE)?;
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// What a start found to do.
pub(super) struct Recovered {
    /// All that wait now, in the order in which they were accepted.
    pub(super) waiting: VecDeque<JobId>,
    /// How many of them had been running.
    pub(super) resumed: usize,
    /// Those that had been running once too often.
    pub(super) exhausted: Vec<Job>,
}

/// Puts jobs that were running back into the queue, or ends them once their attempts are spent.
pub(super) fn recover(
    connection: &mut Connection,
    most_attempts: u32,
) -> rusqlite::Result<Recovered> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut exhausted = Vec::new();
    for (id, attempts) in spent(&transaction, most_attempts)? {
        let error = JobError::attempts_exhausted(attempts);
        fail(&transaction, &id, &error)?;
        match rows::find(&transaction, &id) {
            Ok(job) => exhausted.extend(job),
            // It has failed; that its receiver is not told is no reason not to start.
            Err(error) if rows::is_damage(&error) => {
                tracing::error!(job_id = id, %error, "an interrupted job cannot be read");
            }
            Err(error) => return Err(error),
        }
    }
    let resumed = transaction.execute(
        "UPDATE jobs SET state = 'queued' WHERE state = 'running'",
        [],
    )?;
    let waiting = transaction
        .prepare("SELECT id FROM jobs WHERE state = 'queued' ORDER BY seq")?
        .query_map([], |row| row.get::<_, String>(0))?
        .filter_map(|id| id.map(|id| JobId::parse(&id).ok()).transpose())
        .collect::<rusqlite::Result<_>>()?;
    transaction.commit()?;
    Ok(Recovered {
        waiting,
        resumed,
        exhausted,
    })
}

/// Ends a job that no worker has.
pub(super) fn fail(connection: &Connection, id: &str, error: &JobError) -> rusqlite::Result<()> {
    let text = serde_json::to_string(error)
        .map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))?;
    connection
        .prepare_cached(
            "UPDATE jobs SET state = 'failed', error = ?2, finished_at = ?3 WHERE id = ?1",
        )?
        .execute((id, text, Utc::now().timestamp_millis()))?;
    Ok(())
}

/// Id and attempts of the jobs that have no attempt left.
fn spent(connection: &Connection, most_attempts: u32) -> rusqlite::Result<Vec<(String, u32)>> {
    connection
        .prepare(
            "SELECT id, attempts FROM jobs WHERE state IN ('queued', 'running') \
             AND attempts >= ?1 ORDER BY seq",
        )?
        .query_map([most_attempts], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
}
