//! A thousand clients at once.

use super::peer::Peer;
use super::{Answer, Gate, Home, LEEWAY, job, request};
use crate::server::Server;
use crate::sprites::star;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::Write;
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;

const CLIENTS: usize = 1000;

/// What they meet: most are put off.
const QUEUE: usize = 100;

/// What one client was told.
enum Outcome {
    /// This job is safe.
    Accepted(String),
    /// This one is not.
    PutOff(String),
    /// It broke off, or asked for something else.
    Nothing,
}

/// Both ends of a thousand connections are files.
fn allow_many_files() {
    let limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.map_or(8192, |maximum| maximum.min(8192));
    if limit.current.is_some_and(|current| current < most) {
        let raised = Rlimit {
            current: Some(most),
            maximum: limit.maximum,
        };
        setrlimit(Resource::Nofile, raised).unwrap();
    }
}

fn judge(id: String, answer: &Answer) -> Outcome {
    match answer.status {
        202 => Outcome::Accepted(id),
        _ => {
            answer.is_put_off(503, "QUEUE_FULL");
            Outcome::PutOff(id)
        }
    }
}

/// A client of one of the kinds that there are. Where the service breaks a connection off, nothing
/// was promised.
fn client(server: &Server, images: &Peer, round: &str, number: usize, start: &Barrier) -> Outcome {
    let id = format!("{round}-{number}");
    let url = |path: &str| format!("{}/api/v1/mesh/{path}", server.base);
    let post = || {
        let body = job(&id, &images.url("/gated.png"), "").to_string();
        request(
            "POST",
            &url("generate"),
            body.as_bytes(),
            "application/json",
        )
    };
    start.wait();
    match number % 5 {
        // A request that never ends, until its connection does.
        0 => {
            let address = server.base.trim_start_matches("http://");
            if let Ok(mut stream) = TcpStream::connect(address) {
                let _ = stream.write_all(b"POST /api/v1/mesh/generate HTTP/1.1\r\nhost: x\r\n");
                let _ = std::io::copy(&mut stream, &mut std::io::sink());
            }
            Outcome::Nothing
        }
        1 => {
            let status = request("GET", &url(&format!("{id}/status")), b"", "text/plain");
            assert!(status.map_or(404, |answer| answer.status) == 404);
            Outcome::Nothing
        }
        2 => {
            let Ok(answer) = post() else {
                return Outcome::PutOff(id);
            };
            let outcome = judge(id.clone(), &answer);
            // That the answer is lost changes nothing.
            let _ = request("POST", &url(&format!("{id}/cancel")), b"", "text/plain");
            outcome
        }
        _ => match post() {
            Ok(answer) => judge(id, &answer),
            Err(_) => Outcome::PutOff(id),
        },
    }
}

fn crowd(server: &Server, images: &Peer, gate: &Gate, round: &str) {
    let start = Barrier::new(CLIENTS);
    let outcomes: Vec<_> = thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| {
                let start = &start;
                thread::Builder::new()
                    .stack_size(512 << 10)
                    .spawn_scoped(scope, move || client(server, images, round, number, start))
                    .unwrap()
            })
            .collect();
        clients.into_iter().map(|c| c.join().unwrap()).collect()
    });
    // What was cancelled has left room.
    let mut filling = (0..).map(|n| format!("{round}-filling-{n}"));
    server.wait_for(|server| {
        let body = job(&filling.next().unwrap(), &images.url("/gated.png"), "");
        server.generate(&body).status == 503
    });
    server.wait_until_not_ready(&[("queue", "MAX_QUEUE_LENGTH")]);
    gate.open();
    let (mut accepted, mut put_off) = (0, 0);
    for outcome in outcomes {
        match outcome {
            Outcome::Accepted(id) => {
                let status = server.ended(&id);
                let cancelled = status["state"] == "cancelled";
                assert!(cancelled || status["status"] == "completed", "{status}");
                accepted += 1;
            }
            Outcome::PutOff(id) => {
                assert_eq!(server.about(&id, "status").status, 404, "{id}");
                put_off += 1;
            }
            Outcome::Nothing => {}
        }
    }
    assert!(accepted >= QUEUE && put_off > 0, "{accepted}, {put_off}");
    server.wait_until_ready();
}

#[test]
fn of_a_thousand_clients_at_once_nobody_is_forgotten() {
    allow_many_files();
    let image = star(64, 5);
    let home = Home::new();
    let length = QUEUE.to_string();
    let server = home.start(&[("MAX_QUEUE_LENGTH", &length)]);
    let mut sizes = Vec::new();
    for round in ["warm", "again"] {
        let (gate, image) = (Gate::default(), image.clone());
        let passed = gate.clone();
        let images = Peer::start(move |exchange| passed.image(&image, exchange));
        crowd(&server, &images, &gate, round);
        // The connections of the crowd are closed.
        server.wait_for(|server| server.open_files() < 100);
        sizes.push(server.memory());
    }
    assert!(sizes[1] < sizes[0] + LEEWAY, "{sizes:?} KiB");
}
