//! Receivers of callbacks that misbehave, a hundred times each.

use super::peer::{Exchange, Mailbox, Peer};
use super::{Home, comes_back};
use crate::server::Server;
use crate::sprites::star;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

const JOBS: usize = 100;

/// What a service does with a hundred jobs whose receiver is at this path, and whether it takes
/// what they tell.
fn deliver(server: &Server, round: &str, images: &Peer, receiver: &str, name: &str) -> Vec<String> {
    let ids: Vec<_> = (0..JOBS).map(|n| format!("{round}-{name}-{n}")).collect();
    for id in &ids {
        server.accept(id, &images.url("/star.png"), receiver);
    }
    ids
}

#[test]
fn what_becomes_of_deliveries_is_what_receivers_say() {
    let image = star(64, 5);
    let images = Peer::start(move |exchange| exchange.answer(200, "", &image));
    let (strayed, sent, recovered) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(AtomicU64::new(0)),
        Mailbox::default(),
    );
    let receiver = {
        let (strayed, sent, recovered) = (strayed.clone(), sent.clone(), recovered.clone());
        Peer::start(move |exchange| match exchange.path.as_str() {
            // What has been sent and is not read makes closing a reset.
            "/resets" => {}
            "/fails" => exchange.answer(500, "", b""),
            "/gone" => exchange.answer(410, "", b""),
            "/redirects" => {
                exchange.body();
                exchange.answer(302, "location: /elsewhere\r\n", b"");
            }
            "/floods" => {
                exchange.body();
                sent.fetch_add(flood(exchange), Ordering::SeqCst);
            }
            "/recovers" => {
                recovered.take(exchange);
                let id = exchange.header("webhook-id").unwrap().to_owned();
                let told = recovered.times(&id);
                exchange.answer(if told > 1 { 200 } else { 500 }, "", b"");
            }
            _ => {
                strayed.fetch_add(1, Ordering::SeqCst);
                exchange.answer(200, "", b"");
            }
        })
    };
    let home = Home::new();
    let server = home.start(&[("CALLBACK_TRIES", "2"), ("CALLBACK_TIMEOUT", "30")]);
    comes_back(&server, |round| {
        let jobs = ["resets", "fails", "gone", "redirects", "floods", "recovers"].map(|name| {
            let url = receiver.url(&format!("/{name}"));
            (name, deliver(&server, round, &images, &url, name))
        });
        for (name, ids) in jobs {
            let (status, attempts, code) = match name {
                "resets" => ("failed", 2, None),
                "fails" => ("failed", 2, Some(500)),
                "gone" => ("failed", 1, Some(410)),
                "redirects" => ("failed", 2, Some(302)),
                "floods" => ("delivered", 1, Some(200)),
                _ => ("delivered", 2, Some(200)),
            };
            for id in ids {
                server.completed(&id);
                let delivery = server.delivery(&id);
                assert_eq!(delivery["status"], status, "{name}: {delivery}");
                assert_eq!(delivery["attempts"], attempts, "{name}: {delivery}");
                let last = delivery["log"].as_array().unwrap().last().unwrap();
                assert_eq!(last["http_status"].as_u64(), code, "{name}: {delivery}");
            }
        }
        server.is_alive();
    });
    assert_eq!(strayed.load(Ordering::SeqCst), 0, "a redirect was followed");
    let each = sent.load(Ordering::SeqCst) / (2 * JOBS as u64);
    assert!(each < 64 << 20, "{each} bytes of each answer were taken");
}

/// Sends a gigabyte, or as much of it as is taken.
fn flood(exchange: &mut Exchange) -> u64 {
    const LENGTH: u64 = 1 << 30;
    exchange.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").as_bytes());
    let block = vec![b'x'; 1 << 16];
    let mut sent = 0;
    while sent < LENGTH && exchange.send(&block) {
        sent += block.len() as u64;
    }
    sent
}

/// They hang for as long as the test may take.
#[test]
fn receivers_that_hang_hold_up_nobody_else() {
    let image = star(64, 5);
    let images = Peer::start(move |exchange| exchange.answer(200, "", &image));
    let asked = Arc::new(AtomicUsize::new(0));
    let hanging = [(); 12].map(|()| {
        let asked = Arc::clone(&asked);
        Peer::start(move |exchange| {
            asked.fetch_add(1, Ordering::SeqCst);
            exchange.hang();
            asked.fetch_sub(1, Ordering::SeqCst);
        })
    });
    let mailbox = Mailbox::default();
    let prompt = mailbox.receiver();
    let home = Home::new();
    let server = home.start(&[("CALLBACK_TIMEOUT", "600")]);
    for (number, receiver) in hanging.iter().enumerate() {
        let ids = deliver(
            &server,
            "hangs",
            &images,
            &receiver.url("/"),
            &number.to_string(),
        );
        for id in ids {
            server.completed(&id);
        }
    }
    server.wait_for(|_| asked.load(Ordering::SeqCst) >= hanging.len());
    server.accept("other", &images.url("/star.png"), &prompt.url("/"));
    server.wait_for(|_| !mailbox.ends("other").is_empty());
    let hang = asked.load(Ordering::SeqCst);
    assert!(hang >= hanging.len(), "{hang} of them hang");
    server.wait_until_ready();
}

#[test]
fn receivers_that_never_answer_are_given_up() {
    let image = star(64, 5);
    let images = Peer::start(move |exchange| exchange.answer(200, "", &image));
    let hanging = Peer::start(Exchange::hang);
    let home = Home::new();
    let server = home.start(&[("CALLBACK_TRIES", "1"), ("CALLBACK_TIMEOUT", "0.2")]);
    comes_back(&server, |round| {
        let ids = deliver(&server, round, &images, &hanging.url("/"), "hangs");
        for id in ids {
            server.completed(&id);
            let delivery = server.delivery(&id);
            assert_eq!(delivery["status"], "failed", "{delivery}");
            let error = delivery["log"][0]["error"].as_str().unwrap();
            assert!(error.contains("CALLBACK_TIMEOUT"), "{delivery}");
        }
    });
}
