//! A wall clock that is set while the service runs.

use super::peer::{Mailbox, Peer};
use super::{Gate, Home, KEY, fetched, request};
use crate::server::Server;
use crate::sprites::star;

const MONTH: i64 = 30 * 24 * 60 * 60;

/// A service with a clock of its own.
struct Scene {
    home: Home,
    gate: Gate,
    mailbox: Mailbox,
    images: Peer,
    receiver: Peer,
}

impl Scene {
    fn new() -> Self {
        let (gate, mailbox) = (Gate::default(), Mailbox::default());
        Scene {
            home: Home::new(),
            receiver: mailbox.receiver(),
            images: gate.images(star(64, 5)),
            gate,
            mailbox,
        }
    }

    fn start(&self) -> Server {
        let clock = self.home.path("clock");
        self.home.start(&[
            ("SPINELIFT_CLOCK_OFFSET_FILE", clock.to_str().unwrap()),
            ("MAX_CONCURRENT_DOWNLOADS", "1"),
            ("CALLBACK_BACKOFF", "0.5"),
            ("API_KEYS", KEY),
        ])
    }

    fn set_clock(&self, offset: i64) {
        self.home.set_clock("clock", offset);
    }

    fn accept(&self, server: &Server, id: &str, image: &str) {
        server.accept(id, &self.images.url(image), &self.receiver.url("/"));
    }

    fn is_done(&self, server: &Server, id: &str) {
        server.completed(id);
        assert_eq!(server.delivery(id)["status"], "delivered");
        assert!(!self.mailbox.ends(id).is_empty());
    }
}

/// The path and query under which a result can be fetched without a key.
fn result_url(server: &Server, id: &str) -> String {
    let status = server.completed(id);
    status["result_url"].as_str().unwrap().to_owned()
}

#[test]
fn a_clock_set_forward_and_back_expires_nothing_and_stops_nothing() {
    let scene = Scene::new();
    let server = scene.start();
    scene.accept(&server, "early", "/star.png");
    scene.is_done(&server, "early");
    let url = result_url(&server, "early");
    assert_eq!(fetched(&url), 200);
    scene.mailbox.refuse(true);
    scene.accept(&server, "retried", "/star.png");
    server.completed("retried");
    server.wait_for(|_| !scene.mailbox.ends("retried").is_empty());
    scene.accept(&server, "running", "/gated.png");
    scene.accept(&server, "waiting", "/gated.png");

    scene.set_clock(MONTH);
    server.wait_for(|_| scene.home.log().contains("the clock was set forward"));
    server.wait_until_ready();
    scene.mailbox.refuse(false);
    scene.is_done(&server, "retried");
    scene.accept(&server, "forward", "/star.png");
    // What is signed now is good now.
    let forward = result_url(&server, "early");
    assert_eq!(fetched(&forward), 200);

    scene.set_clock(0);
    scene.gate.open();
    for id in ["early", "retried", "running", "waiting", "forward"] {
        scene.is_done(&server, id);
    }
    scene.accept(&server, "late", "/star.png");
    scene.is_done(&server, "late");
    for url in [url, forward] {
        assert_eq!(fetched(&url), 200);
    }
    scene.set_clock(-MONTH);
    scene.accept(&server, "before", "/star.png");
    scene.is_done(&server, "before");
    server.wait_until_ready();
}

#[test]
fn a_job_and_a_batch_do_not_end_before_they_began() {
    let scene = Scene::new();
    let server = scene.start();
    scene.set_clock(MONTH);
    for id in ["running", "waiting", "cancelled"] {
        scene.accept(&server, id, "/gated.png");
    }
    let url = format!("{}/api/v1/mesh/batch", server.base);
    let image = scene.images.url("/gated.png");
    let batch = format!(r#"{{"batch_id": "all", "images": [{{"image_url": "{image}"}}]}}"#);
    let answer = request("POST", &url, batch.as_bytes(), "application/json").unwrap();
    assert_eq!(answer.status, 202, "{answer:?}");
    server.wait_for(|server| server.about("running", "status").body["progress"] == 10);
    scene.set_clock(0);
    assert_eq!(
        server.ask("POST", "/api/v1/mesh/cancelled/cancel").status,
        200
    );
    scene.gate.open();
    // Looks at the times.
    for id in ["running", "waiting", "cancelled", "all"] {
        server.ended(id);
    }
}

#[test]
fn a_delivery_waits_no_longer_after_a_start_with_a_clock_that_was_set_back() {
    let scene = Scene::new();
    scene.mailbox.refuse(true);
    scene.set_clock(MONTH);
    let server = scene.start();
    scene.accept(&server, "one", "/star.png");
    let recorded = |server: &Server| {
        let known = server.about("one", "deliveries").body;
        known["deliveries"][0]["attempts"].as_u64() >= Some(1)
    };
    server.wait_for(recorded);
    server.kill();
    scene.set_clock(0);
    scene.mailbox.refuse(false);
    scene.is_done(&scene.start(), "one");
}
