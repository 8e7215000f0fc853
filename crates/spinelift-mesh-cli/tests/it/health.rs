//! `spinelift-mesh health`.

use crate::command::{Run, run, spinelift_mesh};
use crate::server::Server;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::thread;
use tempfile::tempdir;

#[test]
fn a_service_is_found_by_its_settings_or_its_url() {
    let folder = tempdir().unwrap();
    let server = Server::spawn(spinelift_mesh().current_dir(folder.path()).env("PORT", "0"));
    let (_, port) = server.base.rsplit_once(':').unwrap();
    for (args, answer) in [
        (vec!["health"], "ready\n"),
        (vec!["health", "--live"], "alive\n"),
    ] {
        let output = spinelift_mesh()
            .current_dir(folder.path())
            .args(&args)
            .env("PORT", port)
            .output();
        let run = Run::from(output.unwrap()).exits(0);
        assert_eq!(String::from_utf8_lossy(&run.stdout), answer);
        // No settings, but a URL.
        let by_url = run_at(&[args, vec![&server.base]].concat()).exits(0);
        assert_eq!(String::from_utf8_lossy(&by_url.stdout), answer);
    }
}

#[cfg(unix)]
#[test]
fn a_service_that_stops_is_alive_and_not_ready() {
    let folder = tempdir().unwrap();
    let server = Server::spawn(
        spinelift_mesh()
            .current_dir(folder.path())
            .env("PORT", "0")
            .env("DRAIN_DELAY", "600"),
    );
    crate::interrupt::send("-TERM", &server.child);
    server.wait_for(|server| run_at(&["health", &server.base]).code == Some(1));
    run_at(&["health", &server.base])
        .exits(1)
        .says(&["error[NOT_READY]", "draining: ", "shutting down"])
        .prints_nothing();
    run_at(&["health", "--live", &server.base]).exits(0);
}

#[test]
fn nobody_there_is_a_failure() {
    let address = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    run_at(&["health", &format!("http://{address}")])
        .exits(1)
        .says(&["error[NO_ANSWER]", &address.to_string(), "hint"]);
}

#[test]
fn silence_ends_with_the_time() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    // The operating system takes the connection, and nobody ever reads it.
    run_at(&["health", "--timeout", "0.1", &url])
        .exits(1)
        .says(&["no answer within 100ms"]);
}

#[test]
fn an_answer_without_end_is_cut_off() {
    let address = flood();
    run_at(&["health", &format!("http://{address}")])
        .exits(1)
        .says(&["error[NO_ANSWER]", "limit"]);
}

#[test]
fn nonsense_is_wrong_usage() {
    for args in [
        ["health", "https://mesh.example"],
        ["health", "--timeout=0"],
        ["health", "--timeout=nan"],
    ] {
        run_at(&args).exits(2);
    }
}

fn run_at(args: &[&str]) -> Run {
    run(tempdir().unwrap().path(), args)
}

/// A server that answers one request, and never stops to.
fn flood() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]).unwrap();
        let head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n";
        stream.write_all(head).unwrap();
        // Until the client has seen enough.
        while stream.write_all(&[b' '; 65536]).is_ok() {}
    });
    address
}
