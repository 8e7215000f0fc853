//! The schema of the database, how older ones become it, and its odds and ends.

use crate::job::JobRequest;
use rusqlite::{Connection, TransactionBehavior};
use sha2::{Digest, Sha256};

/// The version of the schema, in the file's `user_version`. Raise it with every change.
pub(super) const VERSION: i64 = 3;

/// `SPLM`, in the file's `application_id`: tells our files from those of other programs.
pub(super) const APPLICATION: i64 = u32::from_be_bytes(*b"SPLM") as i64;

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

/// A number that the file keeps in its header.
pub(super) fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, name, |row| row.get(0))
}

/// Makes a new file, or one of an older version, what this version needs.
pub(super) fn migrate(connection: &mut Connection) -> rusqlite::Result<()> {
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

/// Version 2 had no generations, and told servers of images apart by their ports.
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
    name_servers(connection)
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
