//! `spinelift-mesh serve`.

use crate::command::{run, spinelift_mesh};
use crate::server::{ImageServer, Server, get_json};
use crate::sprites::star;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use tempfile::tempdir;

#[test]
fn a_job_is_done_and_the_service_stops_when_told() {
    let folder = tempdir().unwrap();
    let images = ImageServer::start(star(100, 6));
    images.allow(1);
    let mut server = Server::start(folder.path(), images.address);
    assert_eq!(
        get_json(&format!("{}/health", server.base))["status"],
        "healthy"
    );
    let answer = server.post("one", &images.url("star.png"));
    assert_eq!(answer["status"], "processing");
    server.wait_for(|server| server.is_completed("one"));
    assert_eq!(server.result("one")["metadata"]["width"], 100);

    #[cfg(unix)]
    {
        crate::interrupt::send("-TERM", &server.child);
        assert_eq!(server.child.wait().unwrap().code(), Some(0));
    }
    server.child.kill().unwrap();
}

#[cfg(unix)]
#[test]
fn a_second_signal_does_not_wait_for_jobs() {
    let folder = tempdir().unwrap();
    let images = ImageServer::start(star(100, 6));
    let mut server = Server::start(folder.path(), images.address);
    server.post("one", &images.url("never.png"));
    server.wait_for(|server| server.status("one")["progress"] == 10);
    crate::interrupt::send("-INT", &server.child);
    // The first signal has arrived once no connection is accepted any more.
    let address = server.base.trim_start_matches("http://").to_owned();
    server.wait_for(|_| TcpStream::connect(&address).is_err());
    crate::interrupt::send("-INT", &server.child);
    assert_eq!(server.child.wait().unwrap().code(), Some(130));
}

#[test]
fn no_command_means_serve() {
    let folder = tempdir().unwrap();
    let server = Server::spawn(spinelift_mesh().current_dir(folder.path()).env("PORT", "0"));
    assert_eq!(
        get_json(&format!("{}/health", server.base))["status"],
        "healthy"
    );
    // The default folder of the data.
    assert!(folder.path().join("data").is_dir());
}

#[test]
fn the_log_can_be_json() {
    let folder = tempdir().unwrap();
    let mut server = Server::spawn(
        spinelift_mesh()
            .current_dir(folder.path())
            .env("PORT", "0")
            .env("LOG_FORMAT", "json"),
    );
    server.child.kill().unwrap();
    let mut log = String::new();
    server
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert!(log.contains("started"), "{log}");
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).unwrap();
    }
}

/// What the service logs until it is stopped, once it listens.
#[cfg(unix)]
fn log_with(variables: &[(&str, &str)]) -> String {
    let folder = tempdir().unwrap();
    let mut server = Server::spawn(
        spinelift_mesh()
            .current_dir(folder.path())
            .env("PORT", "0")
            .envs(variables.iter().copied()),
    );
    crate::interrupt::send("-TERM", &server.child);
    let mut log = String::new();
    let mut stderr = server.child.stderr.take().unwrap();
    stderr.read_to_string(&mut log).unwrap();
    log
}

#[cfg(unix)]
#[test]
fn an_open_service_is_warned_of() {
    let keys = ("API_KEYS", "0123456789abcdef");
    let url = ("PUBLIC_URL", "https://mesh.example");
    for (variables, warnings) in [
        (vec![], [false, false]),
        (vec![("HOST", "0.0.0.0")], [true, true]),
        (vec![("HOST", "0.0.0.0"), keys], [false, true]),
        (vec![("HOST", "0.0.0.0"), keys, url], [false, false]),
    ] {
        let log = log_with(&variables);
        let found = ["set API_KEYS", "set PUBLIC_URL"].map(|warning| log.contains(warning));
        assert_eq!(found, warnings, "{variables:?}: {log}");
        assert!(!log.contains("0123456789abcdef"), "{log}");
    }
}

#[test]
fn what_keeps_it_from_starting_is_told_with_what_to_change() {
    let folder = tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    run(folder.path(), &["serve", "--port", &port])
        .exits(1)
        .says(&[&format!("port {port} is taken"), "hint: ", "--port"])
        .prints_nothing();
    run(folder.path(), &["serve", "--host", "192.0.2.1"])
        .exits(1)
        .says(&["192.0.2.1", "--host"]);
    run(folder.path(), &["serve", "--port", "99999"])
        .exits(2)
        .says(&["--port"]);

    let wrong = spinelift_mesh()
        .current_dir(folder.path())
        .env("PORT", "many")
        .env("MAX_CONCURRENT_JOBS", "0")
        .env("RUST_LOG", "info,hyper=loud")
        .env("API_KEYS", "rails:tooshort")
        .output()
        .unwrap();
    let said = String::from_utf8(wrong.stderr).unwrap();
    assert_eq!(wrong.status.code(), Some(1), "{said}");
    for name in ["PORT", "MAX_CONCURRENT_JOBS", "RUST_LOG", "API_KEYS"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    assert!(!said.contains("tooshort"), "{said}");
}

#[test]
fn a_second_service_keeps_off_the_first_ones_database() {
    let folder = tempdir().unwrap();
    let images = ImageServer::start(Vec::new());
    let first = Server::start(folder.path(), images.address);
    let second = spinelift_mesh()
        .current_dir(folder.path())
        .args(["serve", "--port", "0"])
        .env("DATABASE_PATH", "data/jobs.db")
        .output()
        .unwrap();
    let said = String::from_utf8(second.stderr).unwrap();
    assert_eq!(second.status.code(), Some(1), "{said}");
    let owner = format!("process {}", first.child.id());
    assert!(
        said.contains(&owner) && said.contains("DATABASE_PATH"),
        "{said}"
    );
}

/// The results in a folder and its folders.
fn results(folder: &Path) -> usize {
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .map(|path| match path.extension() {
            _ if path.is_dir() => results(&path),
            Some(extension) => usize::from(extension == "json"),
            None => 0,
        })
        .sum()
}

#[test]
fn no_accepted_job_is_lost_when_the_process_is_killed() {
    const JOBS: usize = 200;
    const KILLS: usize = 3;
    let folder = tempdir().unwrap();
    let images = ImageServer::start(star(64, 5));
    let ids: Vec<_> = (0..JOBS).map(|index| format!("job-{index}")).collect();
    let mut server = Server::start(folder.path(), images.address);
    for id in &ids {
        server.post(id, &images.url(&format!("{id}.png")));
    }
    for kill in 1..=KILLS {
        // Some complete, others wait for their image, and the rest in the queue. Those that the
        // last kill interrupted have their connections counted, too.
        images.allow(40);
        let least = kill * 25;
        let mut completed = 0;
        server.wait_for(|server| {
            completed = ids.iter().filter(|id| server.is_completed(id)).count();
            completed >= least
        });
        assert!(completed < JOBS);
        server.kill();
        server = Server::start(folder.path(), images.address);
    }
    images.allow(10 * JOBS);
    server.wait_for(|server| ids.iter().all(|id| server.is_completed(id)));
    let expected = server.result(&ids[0]);
    for id in &ids {
        assert_eq!(server.result(id), expected, "{id}");
    }
    // A kill between the result and its record leaves one that nobody refers to.
    assert!(results(&folder.path().join("data/storage")) >= JOBS);
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_nearly_a_setting_is_told() {
    let log = log_with(&[("MAX_QUEUE_LENGHT", "5"), ("MAX_SOMETHING_ELSE", "5")]);
    assert!(log.contains("did you mean MAX_QUEUE_LENGTH?"), "{log}");
    assert!(!log.contains("MAX_SOMETHING_ELSE"), "{log}");
}
