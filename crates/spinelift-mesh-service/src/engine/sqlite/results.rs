//! The index of results.

use super::rows;
use super::writer::Writer;
use crate::engine::{EngineError, ResultObject};
use rusqlite::{Connection, OptionalExtension};

/// Most results that leave the cache in one write: others wait for it.
const AT_ONCE: usize = 500;

/// The cached result for a key.
pub(super) fn find(connection: &Connection, key: &str) -> rusqlite::Result<Option<ResultObject>> {
    let found = connection
        .prepare_cached("SELECT object FROM results WHERE key = ?1 AND cached = 1")?
        .query_row([key], |row| rows::object_in(row, 0))
        .optional()?;
    Ok(found.flatten())
}

/// Makes the cache as small as this.
pub(super) async fn shrink(writer: &Writer, most: u64) -> Result<Vec<ResultObject>, EngineError> {
    let mut unused = Vec::new();
    loop {
        let write = writer.write(
            move |connection, _| write_shrink(connection, most),
            |_, _| {},
        );
        let (more, part) = write.await?;
        unused.extend(part);
        if !more {
            return Ok(unused);
        }
    }
}

/// One step; whether there is more to do, and what nothing refers to any more.
fn write_shrink(connection: &Connection, most: u64) -> rusqlite::Result<(bool, Vec<ResultObject>)> {
    let mut total: u64 = connection
        .prepare_cached("SELECT coalesce(sum(bytes), 0) FROM results WHERE cached = 1")?
        .query_row([], |row| row.get(0))?;
    let oldest: Vec<(Option<ResultObject>, u64)> = connection
        .prepare_cached(&format!(
            "SELECT object, bytes FROM results WHERE cached = 1 ORDER BY used_at LIMIT {AT_ONCE}"
        ))?
        .query_map([], |row| Ok((rows::object_in(row, 0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    let mut unused = Vec::new();
    for (object, bytes) in oldest {
        if total <= most {
            break;
        }
        total -= bytes;
        if let Some(object) = object
            && release(connection, &object, false)?
        {
            unused.push(object);
        }
    }
    Ok((total > most, unused))
}

/// A job, or the cache unless `keep_cached`, needs a result no more. Whether nothing else does
/// either: then its object can be removed.
pub(super) fn release(
    connection: &Connection,
    object: &ResultObject,
    keep_cached: bool,
) -> rusqlite::Result<bool> {
    let name = object.as_str();
    if needed(connection, name)? {
        if !keep_cached {
            uncache(connection, name)?;
        }
        return Ok(false);
    }
    let gone = connection
        .prepare_cached("DELETE FROM results WHERE object = ?1 AND (cached = 0 OR NOT ?2)")?
        .execute((name, keep_cached))?;
    Ok(gone > 0)
}

/// Whether a job refers to a result.
fn needed(connection: &Connection, object: &str) -> rusqlite::Result<bool> {
    connection
        .prepare_cached("SELECT 1 FROM jobs WHERE result = ?1")?
        .exists([object])
}

/// Takes a result out of the cache.
fn uncache(connection: &Connection, object: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached("UPDATE results SET cached = 0 WHERE object = ?1")?
        .execute([object])?;
    Ok(())
}

/// Takes a result whose object is missing out of the cache.
pub(super) async fn forget(writer: &Writer, object: ResultObject) -> Result<(), EngineError> {
    let write = writer.write(
        move |connection, _| uncache(connection, object.as_str()),
        |(), _| {},
    );
    write.await
}

/// Those that are not in the index.
pub(super) fn unknown(
    connection: &Connection,
    mut objects: Vec<ResultObject>,
) -> rusqlite::Result<Vec<ResultObject>> {
    let mut known = connection.prepare_cached("SELECT 1 FROM results WHERE object = ?1")?;
    let mut error = None;
    objects.retain(|object| match known.exists([object.as_str()]) {
        Ok(known) => !known,
        Err(failed) => {
            error = Some(failed);
            false
        }
    });
    error.map_or(Ok(objects), Err)
}
