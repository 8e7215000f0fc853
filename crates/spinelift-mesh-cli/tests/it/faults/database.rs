//! A database that others lock, that is damaged, or that is none.

use super::peer::Peer;
use super::{Gate, Home, job};
use crate::sprites::star;
use rusqlite::Connection;
use std::fs;
use std::path::Path;

const BEGIN: &[u8] = b"SQLite format 3\0";

#[test]
fn a_locked_database_puts_clients_off_and_loses_nothing() {
    let (home, gate, image) = (Home::new(), Gate::default(), star(64, 5));
    let passed = gate.clone();
    let images = Peer::start(move |exchange| passed.image(&image, exchange));
    let server = home.start(&[]);
    server.accept("running", &images.url("/one.png"), "");
    server.wait_until_ready();

    let other = Connection::open(home.path("data/jobs.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    gate.open();
    let late = job("late", &images.url("/two.png"), "");
    server
        .generate(&late)
        .is_put_off(503, "STORAGE_UNAVAILABLE");
    server.wait_until_not_ready(&[("jobs", "DATABASE_PATH")]);
    // Reading goes on.
    assert_eq!(
        server.about("running", "status").body["status"],
        "processing"
    );
    assert_eq!(server.about("late", "status").status, 404);

    other.execute_batch("ROLLBACK").unwrap();
    server.wait_until_ready();
    server.completed("running");
    server.accept("late", &images.url("/two.png"), "");
    server.completed("late");
}

#[test]
fn a_database_locked_at_the_start_is_told() {
    let home = Home::new();
    home.start(&[]).kill();
    let other = Connection::open(home.path("data/jobs.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let said = home.refused(&[]);
    assert!(said.contains("locked by another program"), "{said}");
    drop(other);
    home.start(&[]).wait_until_ready();
}

/// What is made of the file of a service that was killed.
type Damage = fn(&Path);

/// Overwrites some pages.
fn corrupt(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    bytes[4096..16_384].fill(0xAA);
    fs::write(file, bytes).unwrap();
}

fn truncate(file: &Path) {
    let bytes = fs::read(file).unwrap();
    fs::write(file, &bytes[..bytes.len() / 2]).unwrap();
}

fn edit(file: &Path, sql: &str) {
    Connection::open(file).unwrap().execute_batch(sql).unwrap();
}

/// Another database in its place.
fn replace(file: &Path, sql: &str) {
    fs::remove_file(file).unwrap();
    edit(file, sql);
}

/// Damage to a database that was left in order, and what is said of it.
const DAMAGE: [(&str, Damage, &str); 12] = [
    ("corrupt", corrupt, "is damaged"),
    ("truncated", truncate, "is damaged"),
    (
        "one byte",
        |file| fs::write(file, b"x").unwrap(),
        "is damaged",
    ),
    (
        "one zero",
        |file| fs::write(file, b"\0").unwrap(),
        "is damaged",
    ),
    (
        "a name alone",
        |file| fs::write(file, BEGIN).unwrap(),
        "is damaged",
    ),
    (
        "zeros",
        |file| fs::write(file, [0; 8192]).unwrap(),
        "is damaged",
    ),
    (
        "a text",
        |file| fs::write(file, b"Dear diary").unwrap(),
        "is damaged",
    ),
    (
        "another program's",
        |file| replace(file, "CREATE TABLE recipes (name TEXT)"),
        "of another program",
    ),
    (
        "another program's, with a negative id",
        |file| {
            replace(
                file,
                "PRAGMA application_id = -5; PRAGMA journal_mode = wal",
            )
        },
        "of another program",
    ),
    (
        "another program's, with no table yet",
        |file| replace(file, "PRAGMA user_version = 2"),
        "of another program",
    ),
    (
        "of the future",
        |file| edit(file, "PRAGMA user_version = 99"),
        "schema version 99",
    ),
    (
        "with a negative version",
        |file| edit(file, "PRAGMA user_version = -1"),
        "schema version -1",
    ),
];

/// What is said at the start, which is to change nothing.
#[track_caller]
fn refused_and_untouched(home: &Home, what: &str) -> String {
    // The lock file is the service's own, and SQLite's index of the log holds no data.
    let kept = |(name, _): &(String, _)| !name.ends_with(".lock") && !name.ends_with("-shm");
    let files = || {
        home.files("data")
            .into_iter()
            .filter(kept)
            .collect::<Vec<_>>()
    };
    let before = files();
    let said = home.refused(&[]);
    assert!(said.contains("jobs.db"), "{what}: {said}");
    let names = |files: &[(String, Vec<u8>)]| files.iter().map(|f| f.0.clone()).collect::<Vec<_>>();
    let after = files();
    assert_eq!(names(&before), names(&after), "{what}");
    assert!(before == after, "{what}: it was changed");
    said
}

#[test]
fn a_database_that_is_not_in_order_is_told_and_left_as_it_is() {
    for (what, damage, reason) in DAMAGE {
        let home = Home::new();
        let file = home.path("data/jobs.db");
        home.start(&[]).kill();
        // Closed in order, by whoever comes last: there is no log beside it.
        edit(&file, "PRAGMA wal_checkpoint(truncate)");
        damage(&file);
        let said = refused_and_untouched(&home, what);
        assert!(said.contains(reason), "{what}: {said}");
        assert!(!home.path("data/jobs.db-wal").exists(), "{what}");
    }
}

#[test]
fn a_damaged_database_with_a_log_is_left_as_it_is() {
    let home = Home::new();
    home.start(&[]).kill();
    let file = home.path("data/jobs.db");
    assert!(fs::metadata(home.path("data/jobs.db-wal")).unwrap().len() > 0);
    let mut bytes = fs::read(&file).unwrap();
    bytes[..16].copy_from_slice(b"no such database");
    fs::write(&file, bytes).unwrap();
    let said = refused_and_untouched(&home, "with a log");
    assert!(said.contains("is damaged"), "{said}");
}

#[test]
fn a_log_without_its_database_is_told_and_left_as_it_is() {
    for empty in [false, true] {
        let home = Home::new();
        let server = home.start(&[]);
        server.accept("one", "http://127.0.0.1:1/x.png", "");
        server.kill();
        let file = home.path("data/jobs.db");
        let whole = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        if empty {
            fs::write(&file, b"").unwrap();
        }
        let said = refused_and_untouched(&home, "a log");
        assert!(
            said.contains("missing or empty") && said.contains("jobs.db-wal"),
            "{said}"
        );
        // As it says: restored, it is in order, with all that was in the log.
        fs::write(&file, whole).unwrap();
        assert_eq!(home.start(&[]).about("one", "status").status, 200);
    }
}
