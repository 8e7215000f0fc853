//! The database file: opening it, its schema, and what to do with the jobs of a process that died.

use super::deliveries;
use super::ending::{self, Ending};
use super::memory::{Ended, Queued, Waiting};
use super::rows;
use crate::engine::DeliveryId;
use crate::job::{JobError, JobRequest};
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// The version of the schema, in the file's `user_version`. Raise it with every change.
const VERSION: i64 = 3;

/// `SPLM`, in the file's `application_id`: tells our files from those of other programs.
const APPLICATION: i64 = u32::from_be_bytes(*b"SPLM") as i64;

/// How every SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

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
        -- Tells it from others that had, or will have, the same id.
        generation  INTEGER NOT NULL,
        request     TEXT NOT NULL,
        base_url    TEXT NOT NULL,
        client      TEXT NOT NULL,
        request_id  TEXT,
        -- Whose lane it loads in.
        server      TEXT NOT NULL,
        -- The server that its end is to be told to.
        receiver    TEXT,
        batch       TEXT,
        state       TEXT NOT NULL
                    CHECK (state IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
        attempts    INTEGER NOT NULL DEFAULT 0,
        percent     INTEGER NOT NULL DEFAULT 0,
        error       TEXT,
        result      TEXT,
        cached      INTEGER NOT NULL DEFAULT 0,
        -- Milliseconds since 1970, UTC.
        created_at  INTEGER NOT NULL,
        started_at  INTEGER,
        finished_at INTEGER
    ) STRICT;
    -- Holds the few jobs that a start has to look at, however many have ended.
    CREATE INDEX jobs_unfinished ON jobs (seq) WHERE state IN ('queued', 'running');
    CREATE INDEX jobs_by_state ON jobs (state, seq);
    CREATE INDEX jobs_by_batch ON jobs (batch, seq) WHERE batch IS NOT NULL;
    CREATE INDEX jobs_by_result ON jobs (result) WHERE result IS NOT NULL;
    CREATE INDEX jobs_by_end ON jobs (finished_at) WHERE finished_at IS NOT NULL;

    CREATE TABLE batches (
        id           TEXT PRIMARY KEY,
        generation   INTEGER NOT NULL,
        fingerprint  BLOB NOT NULL,
        callback_url TEXT,
        receiver     TEXT,
        base_url     TEXT NOT NULL,
        total        INTEGER NOT NULL,
        completed    INTEGER NOT NULL DEFAULT 0,
        failed       INTEGER NOT NULL DEFAULT 0,
        created_at   INTEGER NOT NULL,
        finished_at  INTEGER
    ) STRICT;
    CREATE INDEX batches_by_end ON batches (finished_at) WHERE finished_at IS NOT NULL;

    CREATE TABLE deliveries (
        id         TEXT PRIMARY KEY,
        -- The job or batch that ended.
        job        TEXT NOT NULL,
        generation INTEGER NOT NULL,
        receiver   TEXT NOT NULL,
        state      TEXT NOT NULL CHECK (state IN ('pending', 'delivered', 'failed')),
        attempts   INTEGER NOT NULL DEFAULT 0,
        created_at INTEGER NOT NULL,
        next_at    INTEGER
    ) STRICT;
    CREATE INDEX deliveries_by_job ON deliveries (job);
    CREATE INDEX deliveries_pending ON deliveries (id) WHERE state = 'pending';

    CREATE TABLE attempts (
        seq          INTEGER PRIMARY KEY,
        delivery     TEXT NOT NULL,
        at           INTEGER NOT NULL,
        milliseconds INTEGER NOT NULL,
        status       INTEGER,
        error        TEXT
    ) STRICT;
    CREATE INDEX attempts_by_delivery ON attempts (delivery, seq);

    CREATE TABLE results (
        object  TEXT PRIMARY KEY,
        key     TEXT NOT NULL,
        bytes   INTEGER NOT NULL,
        used_at INTEGER NOT NULL,
        -- Whether other jobs may use it.
        cached  INTEGER NOT NULL
    ) STRICT;
    CREATE UNIQUE INDEX results_by_key ON results (key) WHERE cached = 1;
    CREATE INDEX results_by_use ON results (used_at, bytes) WHERE cached = 1;

    CREATE TABLE secrets (
        name  TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT;
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
        wal(path).display()
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
            _ => OpenError::Database { path, source },
        }
    }
}

/// Opens the connection that writes. A file that is not ours is not touched: it is looked at
/// through a read-only connection first.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    let (size, logged) = (size(path), size(&wal(path)));
    match (size, logged) {
        (0, 0) => {}
        // SQLite would remove the log.
        (0, _) => return Err(OpenError::Orphaned { path: path.into() }),
        _ => inspect(path, size, logged > 0)?,
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

fn wal(path: &Path) -> PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}

/// 0 if there is no such file.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Refuses what is not ours, newer or damaged.
fn inspect(path: &Path, size: u64, is_logged: bool) -> Result<(), OpenError> {
    check_magic(path)?;
    let of = |source| OpenError::of(path, source);
    let connection = match is_logged {
        true => open_for_reading(path)?,
        false => open_as_it_is(path)?,
    };
    let application = pragma(&connection, "application_id").map_err(of)?;
    let version = pragma(&connection, "user_version").map_err(of)?;
    let tables: u32 = connection
        .query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))
        .map_err(of)?;
    let is_blank = application == 0 && version == 0 && tables == 0;
    if application != APPLICATION && !is_blank {
        return Err(OpenError::Foreign { path: path.into() });
    }
    if !is_blank && !(1..=VERSION).contains(&version) {
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

/// SQLite takes a file of one byte for an empty one, and overwrites it.
fn check_magic(path: &Path) -> Result<(), OpenError> {
    let io = |source| OpenError::Io {
        path: path.to_owned(),
        source,
    };
    let mut magic = Vec::new();
    let file = File::open(path).map_err(io)?;
    file.take(MAGIC.len() as u64)
        .read_to_end(&mut magic)
        .map_err(io)?;
    if magic == MAGIC {
        return Ok(());
    }
    Err(OpenError::Corrupt {
        path: path.into(),
        reason: "it does not begin as one does".to_owned(),
    })
}

/// Opens a connection that leaves no file behind, for a database without a write-ahead log: an
/// ordinary one that only reads makes such a log.
fn open_as_it_is(path: &Path) -> Result<Connection, OpenError> {
    let Ok(mut url) = Url::from_file_path(path) else {
        return open_for_reading(path);
    };
    url.set_query(Some("immutable=1"));
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    Connection::open_with_flags(url.as_str(), flags).map_err(|source| OpenError::of(path, source))
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
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
    match version {
        0 => transaction.execute_batch(CREATE)?,
        1 => from_version_1(&transaction)?,
        2 => from_version_2(&transaction)?,
        _ => {}
    }
    transaction.pragma_update(None, "application_id", APPLICATION)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.commit()
}

/// Version 1 had the table of jobs only. Its results were named by the hash of the job's id.
fn from_version_1(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("ALTER TABLE jobs RENAME TO old; DROP INDEX jobs_unfinished;")?;
    connection.execute_batch(CREATE)?;
    connection.execute_batch(
        "INSERT INTO jobs (seq, id, generation, request, base_url, client, server, state, \
         attempts, percent, error, created_at, started_at, finished_at) \
         SELECT seq, id, random() & 9223372036854775807, request, base_url, '', '', state, \
         attempts, percent, error, created_at, started_at, finished_at FROM old; \
         DROP TABLE old;",
    )?;
    name_servers(connection)?;
    let completed: Vec<String> = connection
        .prepare("SELECT id FROM jobs WHERE state = 'completed'")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for id in completed {
        let name = hex(&Sha256::digest(&id));
        connection
            .prepare_cached("UPDATE jobs SET result = ?2 WHERE id = ?1")?
            .execute((&id, &name))?;
        connection
            .prepare_cached(
                "INSERT INTO results (object, key, bytes, used_at, cached) VALUES (?1, '', 0, 0, 0)",
            )?
            .execute([&name])?;
    }
    Ok(())
}

/// Version 2 had no generations, and told servers apart by their ports.
fn from_version_2(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(
        "ALTER TABLE jobs ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; \
         ALTER TABLE batches ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; \
         ALTER TABLE deliveries ADD COLUMN generation INTEGER NOT NULL DEFAULT 0; \
         UPDATE jobs SET generation = random() & 9223372036854775807; \
         UPDATE batches SET generation = random() & 9223372036854775807; \
         UPDATE deliveries SET generation = coalesce( \
         (SELECT generation FROM jobs WHERE id = deliveries.job), \
         (SELECT generation FROM batches WHERE id = deliveries.job), 0);",
    )?;
    name_servers(connection)?;
    forget_ports(connection, "batches")?;
    forget_ports(connection, "deliveries")
}

/// Names receivers, `host:port` before, by their hosts.
fn forget_ports(connection: &Connection, table: &str) -> rusqlite::Result<()> {
    let named: Vec<(String, String)> = connection
        .prepare(&format!(
            "SELECT id, receiver FROM {table} WHERE receiver IS NOT NULL"
        ))?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, receiver) in named {
        if let Some((host, _)) = receiver.rsplit_once(':') {
            connection
                .prepare_cached(&format!("UPDATE {table} SET receiver = ?2 WHERE id = ?1"))?
                .execute((id, host.trim_end_matches('.')))?;
        }
    }
    Ok(())
}

/// Notes whose lanes the unfinished jobs of an older version use.
fn name_servers(connection: &Connection) -> rusqlite::Result<()> {
    let unfinished: Vec<(String, String)> = connection
        .prepare("SELECT id, request FROM jobs WHERE state IN ('queued', 'running')")?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    for (id, request) in unfinished {
        // One that cannot be read fails when its turn comes.
        if let Ok(request) = JobRequest::from_stored(&request) {
            connection
                .prepare_cached("UPDATE jobs SET server = ?2, receiver = ?3 WHERE id = ?1")?
                .execute((id, request.source.server(), request.receiver()))?;
        }
    }
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What a start found to do.
pub(super) struct Recovered {
    /// All that wait now, in the order in which they were accepted.
    pub(super) waiting: Vec<Waiting<Queued>>,
    /// How many of them had been running.
    pub(super) resumed: usize,
    /// How many were ended, because they had been running once too often.
    pub(super) exhausted: usize,
    /// How many unfinished jobs each client has.
    pub(super) clients: HashMap<String, usize>,
    /// The deliveries to be made.
    pub(super) deliveries: Vec<(Waiting<DeliveryId>, Duration)>,
}

/// Puts jobs that were running back into the queue, or ends them once their attempts are spent.
pub(super) fn recover(
    connection: &mut Connection,
    most_attempts: u32,
) -> rusqlite::Result<Recovered> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let spent = spent(&transaction, most_attempts)?;
    for (id, attempts) in &spent {
        let error = JobError::attempts_exhausted(*attempts);
        // What is to be told of it is read below, with all the rest.
        ending::end(
            &transaction,
            id,
            Ending::Failed(&error),
            &mut Ended::default(),
        )?;
    }
    let resumed = transaction.execute(
        "UPDATE jobs SET state = 'queued' WHERE state = 'running'",
        [],
    )?;
    let recovered = Recovered {
        waiting: waiting(&transaction)?,
        resumed,
        exhausted: spent.len(),
        clients: clients(&transaction)?,
        deliveries: deliveries::pending(&transaction)?,
    };
    transaction.commit()?;
    Ok(recovered)
}

fn waiting(connection: &Connection) -> rusqlite::Result<Vec<Waiting<Queued>>> {
    connection
        .prepare(&format!(
            "SELECT {} FROM jobs WHERE state = 'queued' ORDER BY seq",
            rows::WAITING
        ))?
        .query_map([], rows::waiting)?
        .collect()
}

fn clients(connection: &Connection) -> rusqlite::Result<HashMap<String, usize>> {
    connection
        .prepare(
            "SELECT client, count(*) FROM jobs WHERE state IN ('queued', 'running') \
             GROUP BY client",
        )?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect()
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

/// A secret, made if it is not there yet.
pub(super) fn secret(
    connection: &Connection,
    name: &str,
    fresh: [u8; 32],
) -> rusqlite::Result<[u8; 32]> {
    connection
        .prepare_cached(
            "INSERT INTO secrets (name, value) VALUES (?1, ?2) ON CONFLICT (name) DO NOTHING",
        )?
        .execute((name, fresh))?;
    connection
        .prepare_cached("SELECT value FROM secrets WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
}

/// Random bytes that nobody can guess.
pub(super) fn random() -> Result<[u8; 32], String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

/// Writes something, to see whether that is possible.
pub(super) fn touch(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO secrets (name, value) VALUES ('touched', randomblob(8)) \
             ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )?
        .execute([])?;
    Ok(())
}

/// Reads it back.
pub(super) fn touched(connection: &Connection) -> rusqlite::Result<()> {
    connection
        .prepare_cached("SELECT 1 FROM secrets WHERE name = 'touched'")?
        .query_row([], |_| Ok(()))
}
