//! Clients that do something in the worst moment of a job, and a service that goes on running.

use super::kill::Scene;
use crate::server::Server;
use std::fs;
use std::io::Write;
use std::net::TcpStream;

fn go_on(scene: &Scene) {
    fs::remove_file(scene.stopped()).unwrap();
}

fn cancel(server: &Server, id: &str) {
    let answer = server.ask("POST", &format!("/api/v1/mesh/{id}/cancel"));
    assert_eq!(
        (answer.status, &answer.body["cancelled"]),
        (200, &true.into())
    );
}

fn delete(server: &Server, id: &str) {
    let answer = server.ask("DELETE", &format!("/api/v1/mesh/{id}"));
    assert_eq!(answer.status, 204, "{answer:?}");
}

#[test]
fn a_job_that_is_cancelled_once_its_result_is_stored_leaves_none() {
    let scene = Scene::at("stored");
    let server = scene.start_stopping(&[]);
    scene.post(&server, "one").unwrap();
    scene.wait_until_stopped(&server);
    assert_eq!(scene.home.results().len(), 1);
    cancel(&server, "one");
    server.wait_for(|_| scene.home.results().is_empty());
    assert_eq!(server.ended("one")["state"], "cancelled");
}

#[test]
fn a_job_that_is_given_back_once_its_result_is_stored_leaves_none() {
    let scene = Scene::at("stored");
    let mut server = scene.start_stopping(&[("DRAIN_TIMEOUT", "0.1")]);
    scene.post(&server, "one").unwrap();
    scene.wait_until_stopped(&server);
    assert_eq!(scene.home.results().len(), 1);
    crate::interrupt::send("-TERM", &server.child);
    assert!(server.child.wait().unwrap().success());
    assert!(scene.home.results().is_empty());
}

#[test]
fn a_job_is_deleted_with_its_result_though_its_client_is_gone() {
    let scene = Scene::at("deleted");
    let server = scene.start_stopping(&[]);
    scene.post(&server, "one").unwrap();
    server.completed("one");
    server.delivery("one");
    let address = server.base.strip_prefix("http://").unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    client
        .write_all(b"DELETE /api/v1/mesh/one HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    scene.wait_until_stopped(&server);
    assert_eq!(scene.home.results().len(), 1);
    let connections = server.connections();
    drop(client);
    server.wait_for(|server| server.connections() < connections);
    go_on(&scene);
    server.wait_for(|_| scene.home.results().is_empty());
    assert_eq!(server.about("one", "status").status, 404);
}

/// The worker of the first job is about to tidy up after it while the second is accepted.
#[test]
fn an_image_that_comes_again_is_not_taken_for_the_old_one() {
    let scene = Scene::at("ended");
    let server = scene.start_stopping(&[]);
    scene.upload(&server, "one").unwrap();
    scene.wait_until_stopped(&server);
    server.completed("one");
    delete(&server, "one");
    assert_eq!(scene.upload(&server, "one").unwrap().status, 202);
    go_on(&scene);
    server.completed("one");
    scene.wait_until_stopped(&server);
    go_on(&scene);
    server.wait_for(|_| scene.home.stored().len() == 1);
}
