//! A connection between a node and a server, which can be cut anywhere.

use crate::faults::Gate;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a node says, or is told.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Way {
    Up,
    Down,
}

/// It serves until the tests end.
pub(super) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// After how many bytes, in which direction, a connection is to be cut.
    cut: Mutex<Option<(Way, usize)>>,
    gate: Gate,
}

impl Proxy {
    pub(super) fn to(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::<State>::default();
        state.gate.open();
        let own = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let (client, state) = (client.unwrap(), Arc::clone(&own));
                // A server that is gone closes the connection.
                if let Ok(server) = TcpStream::connect(server) {
                    join(client, server, state);
                }
            }
        });
        Proxy { address, state }
    }

    pub(super) fn port(&self) -> u16 {
        self.address.port()
    }

    /// Cuts whatever connection carries this byte from now on, once.
    pub(super) fn cut_after(&self, way: Way, bytes: usize) {
        *self.state.cut.lock().unwrap() = Some((way, bytes));
    }

    /// Whether the cut has been made.
    pub(super) fn has_cut(&self) -> bool {
        self.state.cut.lock().unwrap().is_none()
    }

    /// Holds back whatever is said, until it lets it go on.
    pub(super) fn hold(&self) {
        self.state.gate.close();
    }

    pub(super) fn let_go_on(&self) {
        self.state.gate.open();
    }
}

impl State {
    /// How many of so many bytes pass.
    fn pass(&self, way: Way, bytes: usize) -> usize {
        self.gate.pass();
        let mut cut = self.cut.lock().unwrap();
        match &mut *cut {
            Some((cut_way, left)) if *cut_way == way => {
                let passing = bytes.min(*left);
                *left -= passing;
                if passing < bytes {
                    *cut = None;
                }
                passing
            }
            _ => bytes,
        }
    }
}

fn join(client: TcpStream, server: TcpStream, state: Arc<State>) {
    for stream in [&client, &server] {
        stream.set_nodelay(true).unwrap();
    }
    let [client, server] = [client, server].map(Arc::new);
    for (way, from, to) in [(Way::Up, &client, &server), (Way::Down, &server, &client)] {
        let (from, to, state) = (Arc::clone(from), Arc::clone(to), Arc::clone(&state));
        thread::spawn(move || {
            carry(way, &from, &to, &state);
            for stream in [from, to] {
                // It may be closed.
                let _ = stream.shutdown(Shutdown::Both);
            }
        });
    }
}

/// Until either side has ended, or the cut is made.
fn carry(way: Way, mut from: &TcpStream, mut to: &TcpStream, state: &State) {
    let mut bytes = vec![0; 1 << 16];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let passing = state.pass(way, length);
        if to.write_all(&bytes[..passing]).is_err() || passing < length {
            return;
        }
    }
}
