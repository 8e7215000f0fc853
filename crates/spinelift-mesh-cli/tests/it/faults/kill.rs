//! `kill -9` at every step of a job.

use super::peer::{Mailbox, Peer};
use super::{Answer, Gate, Home, job, request};
use crate::server::Server;
use crate::sprites::star;
use serde_json::json;
use std::fs;
use std::path::PathBuf;
use std::thread;

/// A service that is killed at some point, and those that it has to do with.
pub(super) struct Scene {
    pub(super) home: Home,
    point: &'static str,
    mailbox: Mailbox,
    receiver: Peer,
    images: Peer,
    gate: Gate,
}

impl Scene {
    pub(super) fn at(point: &'static str) -> Self {
        let (mailbox, gate) = (Mailbox::default(), Gate::default());
        Scene {
            home: Home::new(),
            point,
            receiver: mailbox.receiver(),
            mailbox,
            images: gate.images(star(64, 5)),
            gate,
        }
    }

    fn start(&self) -> Server {
        self.home.start(&[("MAX_CONCURRENT_DOWNLOADS", "1")])
    }

    /// Starts a service that stops at the point.
    pub(super) fn start_stopping(&self, settings: &[(&str, &str)]) -> Server {
        let stopped = self.stopped();
        let point = [
            ("MAX_CONCURRENT_DOWNLOADS", "1"),
            ("SPINELIFT_STOP_AT", self.point),
            ("SPINELIFT_STOPPED", stopped.to_str().unwrap()),
        ];
        self.home.start(&[&point, settings].concat())
    }

    /// The file that says where the service has stopped; it goes on when that is removed.
    pub(super) fn stopped(&self) -> PathBuf {
        self.home.path("stopped")
    }

    #[track_caller]
    pub(super) fn wait_until_stopped(&self, server: &Server) {
        let name = || fs::read_to_string(self.stopped()).unwrap_or_default();
        server.wait_for(|_| name() == self.point);
    }

    /// Does something that has the service stop at the point, and kills it there. The answer, if
    /// there was one.
    fn kill(
        &self,
        act: impl FnOnce(&Server) -> Result<Answer, ureq::Error> + Send,
    ) -> Option<Answer> {
        let server = self.start_stopping(&[]);
        thread::scope(|scope| {
            let acting = scope.spawn(|| act(&server));
            self.wait_until_stopped(&server);
            server.is_alive();
            // To the service it is the system that kills it; the handle stays with us.
            crate::interrupt::send("-KILL", &server.child);
            let answer = acting.join().unwrap().ok();
            assert!(
                answer.iter().all(|answer| answer.status < 300),
                "{answer:?}"
            );
            answer
        })
    }

    pub(super) fn post(&self, server: &Server, id: &str) -> Result<Answer, ureq::Error> {
        let body = job(id, &self.images.url("/star.png"), &self.receiver.url("/"));
        super::post(&server.base, &body)
    }

    pub(super) fn upload(&self, server: &Server, id: &str) -> Result<Answer, ureq::Error> {
        super::upload(server, id, &self.receiver.url("/"))
    }

    fn was_told(&self, server: &Server, id: &str, status: &str, least: usize) {
        server.has_told(&self.mailbox, id, status, least);
    }

    /// Nothing is stored any more but so many results, once a crash is an hour ago: the service
    /// that runs sees to it.
    fn is_tidied(&self, server: &Server, results: usize) {
        self.home.let_time_pass();
        server.wait_for(|_| self.home.has_only_results(results));
        server.wait_until_ready();
    }
}

/// A job that was accepted before the kill ends once, and well; and so does one that was not, if
/// it is posted again.
fn job_survives(point: &'static str, accepted: bool, told: usize) {
    let scene = Scene::at(point);
    let answer = scene.kill(|server| scene.post(server, "one"));
    let server = scene.start();
    survives(&scene, server, answer.as_ref(), accepted, told, Scene::post);
}

fn upload_survives(point: &'static str, accepted: bool) {
    let scene = Scene::at(point);
    let answer = scene.kill(|server| scene.upload(server, "one"));
    let server = scene.start();
    survives(&scene, server, answer.as_ref(), accepted, 1, Scene::upload);
}

fn survives(
    scene: &Scene,
    server: Server,
    answer: Option<&Answer>,
    accepted: bool,
    told: usize,
    post: fn(&Scene, &Server, &str) -> Result<Answer, ureq::Error>,
) {
    let known = server.about("one", "status").status == 200;
    assert_eq!(known, accepted, "{}", scene.point);
    if let Some(answer) = answer {
        assert!(
            answer.status != 202 || known,
            "what is answered for is kept"
        );
    }
    // A client that had no answer asks again, and is answered as it would have been.
    let again = post(scene, &server, "one").unwrap();
    assert_eq!(again.status, 202, "{again:?}");
    let status = server.completed("one");
    assert!(status["attempts"].as_u64() <= Some(2), "{status}");
    scene.was_told(&server, "one", "completed", told);
    let listed = server.ask("GET", "/api/v1/mesh").body;
    assert_eq!(listed["jobs"].as_array().unwrap().len(), 1, "{listed}");
    scene.is_tidied(&server, 1);
}

#[test]
fn before_the_commit_nothing_is_accepted() {
    job_survives("accept-written", false, 1);
}

#[test]
fn after_the_commit_the_job_is_done() {
    job_survives("accepted", true, 1);
}

#[test]
fn a_job_killed_in_any_step_is_done() {
    for point in ["claimed", "loaded", "computed", "stored", "ended"] {
        job_survives(point, true, 1);
    }
}

#[test]
fn the_end_is_told_until_it_is_known_to_be_taken() {
    job_survives("callback-unsent", true, 1);
    job_survives("callback-unrecorded", true, 2);
}

#[test]
fn an_upload_is_accepted_with_its_job_or_leaves_nothing() {
    upload_survives("upload-stored", false);
    upload_survives("accepted", true);
    upload_survives("ended", true);
}

#[test]
fn a_batch_is_accepted_as_a_whole() {
    let scene = Scene::at("batch-accepted");
    let image = scene.images.url("/star.png");
    let body = json!({
        "batch_id": "all",
        "images": [{ "image_url": image }, { "image_url": image }],
        "callback_url": scene.receiver.url("/"),
    });
    scene.kill(|server| {
        let url = format!("{}/api/v1/mesh/batch", server.base);
        request(
            "POST",
            &url,
            body.to_string().as_bytes(),
            "application/json",
        )
    });
    let server = scene.start();
    for id in ["all-1", "all-2"] {
        server.completed(id);
    }
    assert_eq!(server.ended("all")["status"], "completed");
    scene.was_told(&server, "all", "completed", 1);
    scene.is_tidied(&server, 1);
}

#[test]
fn what_is_cancelled_stays_so() {
    let scene = Scene::at("cancelled");
    scene.kill(|server| {
        server.accept("other", &scene.images.url("/gated.png"), "");
        // It waits behind the other, which is loading for ever.
        scene.upload(server, "one").unwrap();
        let url = format!("{}/api/v1/mesh/one/cancel", server.base);
        request("POST", &url, b"", "application/json")
    });
    let server = scene.start();
    let status = server.ended("one");
    assert_eq!(status["state"], "cancelled", "{status}");
    scene.was_told(&server, "one", "failed", 1);
    scene.gate.open();
    server.completed("other");
    scene.is_tidied(&server, 1);
}

#[test]
fn what_is_deleted_stays_so() {
    let scene = Scene::at("deleted");
    scene.kill(|server| {
        scene.post(server, "one").unwrap();
        server.completed("one");
        server.delivery("one");
        let url = format!("{}/api/v1/mesh/one", server.base);
        request("DELETE", &url, b"", "application/json")
    });
    let server = scene.start();
    assert_eq!(server.about("one", "status").status, 404);
    scene.is_tidied(&server, 0);
}
