//! Disks that are full, and folders that cannot be written to.

use super::peer::{Mailbox, Peer};
use super::{Gate, Home, job};
use crate::server::Server;
use crate::sprites::star;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};

const FULL: [(&str, &str); 2] = [("jobs", "DATABASE_PATH"), ("storage", "STORAGE_PATH")];

/// From now on the process can write no byte to any file, or can again. No disk needs to be mounted
/// for this, and nobody be root.
fn fill_disk(server: &Server, full: bool) {
    let pid = Pid::from_raw(server.pid().try_into().unwrap());
    let ours = getrlimit(Resource::Fsize);
    let limit = Rlimit {
        current: if full { Some(0) } else { ours.current },
        maximum: ours.maximum,
    };
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[test]
fn a_full_disk_puts_clients_off_and_loses_nothing() {
    let (home, gate, mailbox) = (Home::new(), Gate::default(), Mailbox::default());
    let (passed, image) = (gate.clone(), star(64, 5));
    let images = Peer::start(move |exchange| match exchange.path.as_str() {
        "/gated.png" => passed.image(&image, exchange),
        _ => exchange.answer(200, "", &image),
    });
    let receiver = mailbox.receiver();
    // Its log is on the same disk.
    let server = home.start(&[("MAX_CONCURRENT_DOWNLOADS", "1")]);
    for id in ["running", "waiting"] {
        server.accept(id, &images.url("/gated.png"), &receiver.url("/"));
    }
    server.wait_for(|server| server.about("running", "status").body["progress"] == 10);
    server.wait_until_ready();

    fill_disk(&server, true);
    let late = job("late", &images.url("/star.png"), &receiver.url("/"));
    server
        .generate(&late)
        .is_put_off(503, "STORAGE_UNAVAILABLE");
    server.wait_until_not_ready(&FULL);
    gate.open();
    // All that is left is to store it.
    server.wait_for(|server| server.about("running", "status").body["progress"] == 95);
    server
        .generate(&late)
        .is_put_off(503, "STORAGE_UNAVAILABLE");
    server.wait_until_not_ready(&FULL);
    assert_eq!(
        server.about("running", "status").body["status"],
        "processing"
    );
    assert_eq!(server.about("late", "status").status, 404);

    fill_disk(&server, false);
    server.wait_until_ready();
    server.accept("late", &images.url("/star.png"), &receiver.url("/"));
    for id in ["running", "waiting", "late"] {
        server.completed(id);
        assert_eq!(server.delivery(id)["status"], "delivered");
        assert_eq!(mailbox.ends(id).len(), 1);
    }
    let stored = home.stored();
    assert!(!stored.iter().any(|name| name.contains('#')), "{stored:?}");
}

#[test]
fn a_disk_that_is_full_at_the_start_is_told() {
    let home = Home::new();
    let mut child = Command::new("sh")
        .args(["-c", "ulimit -f 0; exec \"$0\" serve --port 0"])
        .arg(home.command(&[]).get_program())
        .current_dir(home.folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(
        said.contains("jobs.db") && said.contains("DATABASE_PATH"),
        "{said}"
    );
}

#[test]
fn a_storage_that_cannot_be_written_is_told_at_the_start() {
    let home = Home::new();
    // Not even root can make a folder where a file is.
    fs::create_dir(home.path("data")).unwrap();
    fs::write(home.path("data/storage"), b"precious").unwrap();
    let said = home.refused(&[]);
    assert!(
        said.contains("results cannot be stored") && said.contains("STORAGE_PATH"),
        "{said}"
    );
    assert_eq!(fs::read(home.path("data/storage")).unwrap(), b"precious");
}

#[test]
fn results_are_stored_as_soon_as_that_is_possible() {
    let (home, gate, mailbox) = (Home::new(), Gate::default(), Mailbox::default());
    let (passed, image) = (gate.clone(), star(64, 5));
    let images = Peer::start(move |exchange| passed.image(&image, exchange));
    let receiver = mailbox.receiver();
    let server = home.start(&[]);
    server.accept("one", &images.url("/one.png"), &receiver.url("/"));
    let (storage, aside) = (home.path("data/storage"), home.path("data/aside"));
    fs::rename(&storage, &aside).unwrap();
    fs::write(&storage, b"").unwrap();
    server.wait_until_not_ready(&FULL[1..]);
    gate.open();
    server.wait_for(|_| home.log().contains("a result could not be stored"));
    assert_eq!(server.about("one", "status").body["status"], "processing");
    // Jobs can be stored, and wait.
    server.accept("two", &images.url("/two.png"), &receiver.url("/"));
    fs::remove_file(&storage).unwrap();
    fs::rename(&aside, &storage).unwrap();
    server.wait_until_ready();
    for id in ["one", "two"] {
        server.completed(id);
        assert_eq!(server.delivery(id)["status"], "delivered");
    }
}

/// The jobs compute for a moment, and wait for much longer: the one for the storage, the other for
/// the only slot.
#[test]
fn the_time_that_a_job_waits_is_not_counted() {
    let home = Home::new();
    let images = [5, 6].map(|points| {
        let image = star(64, points);
        Peer::start(move |exchange| exchange.answer(200, "", &image))
    });
    let server = home.start(&[("JOB_TIMEOUT", "3"), ("MAX_CONCURRENT_JOBS", "1")]);
    let (storage, aside) = (home.path("data/storage"), home.path("data/aside"));
    fs::rename(&storage, &aside).unwrap();
    fs::write(&storage, b"").unwrap();
    server.accept("one", &images[0].url("/"), "");
    server.wait_for(|_| home.log().contains("a result could not be stored"));
    server.accept("two", &images[1].url("/"), "");
    // There is a second between any two tries.
    server.wait_for(|server| {
        let status = server.about("one", "status").body;
        assert_eq!(status["status"], "processing", "{status}");
        home.log().matches("a result could not be stored").count() > 6
    });
    fs::remove_file(&storage).unwrap();
    fs::rename(&aside, &storage).unwrap();
    for id in ["one", "two"] {
        server.completed(id);
    }
    server.wait_until_ready();
}
