//! Opening the database file.

use super::schema::{self, APPLICATION, VERSION, pragma};
use super::{OpenError, recovery};
use crate::private;
use rusqlite::{Connection, OpenFlags};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use url::Url;

/// How every SQLite database begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// Files up to this size are checked page by page at start; it takes some seconds. Of larger ones
/// only what a start reads is: the schema, the unfinished jobs and the deliveries.
const CHECKED_UP_TO: u64 = 1024 * 1024 * 1024;

/// How long a lock held by another program (a backup, a shell) is waited for.
const BUSY: Duration = Duration::from_secs(2);

/// Opens the connection that writes. A file that is not ours is not touched: it is looked at
/// through a read-only connection first.
pub(super) fn open(path: &Path) -> Result<Connection, OpenError> {
    open_checking(path, CHECKED_UP_TO)
}

fn open_checking(path: &Path, checked_up_to: u64) -> Result<Connection, OpenError> {
    let (size, logged) = (size(path), size(&wal(path)));
    match (size, logged) {
        // SQLite would make one that everybody may read.
        (0, 0) => private::create_file(path).map_err(|source| OpenError::Io {
            path: path.into(),
            source,
        })?,
        // SQLite would remove the log.
        (0, _) => return Err(OpenError::Orphaned { path: path.into() }),
        _ => inspect(path, logged > 0, size <= checked_up_to)?,
    }
    let of = |source| OpenError::of(path, source);
    let mut connection = Connection::open(path).map_err(of)?;
    configure(&connection).map_err(of)?;
    schema::migrate(&mut connection).map_err(of)?;
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

/// The write-ahead log of a database.
pub(super) fn wal(path: &Path) -> PathBuf {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    wal.into()
}

/// 0 if there is no such file.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// Refuses what is not ours, newer or damaged: what a start reads must be readable, and with
/// `every_page` all the rest.
fn inspect(path: &Path, is_logged: bool, every_page: bool) -> Result<(), OpenError> {
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
    let is_current = version == VERSION;
    if is_current {
        recovery::rehearse(&connection).map_err(of)?;
    }
    // An older one is rewritten from beginning to end.
    if every_page || !is_current {
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

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // In WAL mode NORMAL would lose the last commits in a power cut: an accepted job must stay.
    connection.pragma_update(None, "synchronous", "full")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with an unfinished job and a delivery.
    fn file(path: &Path) {
        let connection = open(path).expect("opens");
        let insert = "INSERT INTO jobs \
            (id, generation, request, base_url, client, server, state, created_at) \
            VALUES ('a', 1, '{}', '', 'c', 's', 'queued', 1); \
            INSERT INTO deliveries (id, job, generation, receiver, state, created_at, next_at) \
            VALUES ('d', 'a', 1, 'r', 'pending', 1, 1);";
        connection.execute_batch(insert).expect("inserted");
        connection.close().expect("closed");
    }

    fn refused(path: &Path) {
        let before = std::fs::read(path).expect("read");
        let opened = open_checking(path, 0).map(|_| ());
        assert!(
            matches!(opened, Err(OpenError::Corrupt { .. })),
            "{opened:?}"
        );
        let message = opened.expect_err("refused").to_string();
        assert!(message.contains("restore it from a backup"), "{message}");
        assert_eq!(std::fs::read(path).expect("read"), before);
        assert!(!wal(path).exists());
    }

    #[test]
    fn a_large_file_that_is_damaged_where_a_start_reads_is_left_as_it_is() {
        for index in ["jobs_unfinished", "deliveries_pending", "deliveries"] {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("jobs.db");
            file(&path);
            assert!(open_checking(&path, 0).is_ok());
            let page: u64 = open(&path)
                .and_then(|connection| {
                    let sql = "SELECT rootpage FROM sqlite_schema WHERE name = ?1";
                    let page = connection.query_row(sql, [index], |row| row.get(0));
                    page.map_err(|source| OpenError::of(&path, source))
                })
                .expect("known");
            let mut bytes = std::fs::read(&path).expect("read");
            let page = (page as usize - 1) * 4096;
            bytes[page..page + 4096].fill(0xff);
            std::fs::write(&path, bytes).expect("written");
            refused(&path);
        }
    }

    #[test]
    fn a_large_file_with_nonsense_where_a_start_reads_is_left_as_it_is() {
        for nonsense in [
            "UPDATE jobs SET client = CAST(x'ff' AS TEXT)",
            "UPDATE jobs SET generation = -1",
            "UPDATE deliveries SET receiver = CAST(x'ff' AS TEXT)",
        ] {
            let directory = tempfile::tempdir().expect("temporary directory");
            let path = directory.path().join("jobs.db");
            file(&path);
            let connection = open(&path).expect("opens");
            connection.execute_batch(nonsense).expect("written");
            connection.close().expect("closed");
            refused(&path);
        }
    }
}
