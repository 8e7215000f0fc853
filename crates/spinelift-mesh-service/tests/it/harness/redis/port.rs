//! Ports of servers that are gone for a while and come back.
//!
//! The tests of the command include this file as well.
#![allow(clippy::unwrap_used)]

use std::net::TcpListener;
#[cfg(target_os = "linux")]
use std::os::{
    linux::net::SocketAddrExt,
    unix::net::{SocketAddr, UnixListener},
};
#[cfg(target_os = "linux")]
use std::sync::Mutex;

/// Ports that the system does not give away by itself.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// A port that nobody listens on, and that no other test gets as long as this process lives: nodes
/// would go over to its server while their own is gone.
pub(crate) fn free_port() -> u16 {
    loop {
        let port = fastrand::u16(PORTS);
        if is_reserved(port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Reserves a port among all processes that run tests: with a name that nobody else can have.
#[cfg(target_os = "linux")]
fn is_reserved(port: u16) -> bool {
    static RESERVED: Mutex<Vec<UnixListener>> = Mutex::new(Vec::new());
    let name = SocketAddr::from_abstract_name(format!("spinelift-test-port-{port}")).unwrap();
    let reserved = UnixListener::bind_addr(&name);
    reserved.is_ok_and(|name| {
        RESERVED.lock().unwrap().push(name);
        true
    })
}

#[cfg(not(target_os = "linux"))]
fn is_reserved(_port: u16) -> bool {
    true
}
