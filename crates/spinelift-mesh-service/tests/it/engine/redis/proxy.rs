//! A proxy that cuts connections: before the server hears, after it has, or by saying nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Between an engine and its server.
pub(super) struct Proxy {
    port: u16,
    state: Arc<State>,
    _serving: JoinSet<()>,
}

struct State {
    server: u16,
    /// How many answers are still to be lost, each with its connection.
    lose: AtomicUsize,
    /// The word that a command must hold whose answer is lost.
    word: &'static str,
    lost: AtomicUsize,
    /// Nothing passes while this is so.
    is_silent: watch::Sender<bool>,
}

impl Proxy {
    /// To a server; the answers to commands that hold the word can be lost.
    pub(super) async fn start(server: u16, word: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(State {
            server,
            lose: AtomicUsize::new(0),
            word,
            lost: AtomicUsize::new(0),
            is_silent: watch::Sender::new(false),
        });
        let mut serving = JoinSet::new();
        let own = Arc::clone(&state);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (client, _) = listener.accept().await.unwrap();
                connections.spawn(pass(client, Arc::clone(&own)));
            }
        });
        Self {
            port,
            state,
            _serving: serving,
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The server does what it is told next, and the answer is lost.
    pub(super) fn lose_answers(&self, number: usize) {
        self.state.lose.store(number, Ordering::SeqCst);
    }

    /// How many answers were lost.
    pub(super) fn lost(&self) -> usize {
        self.state.lost.load(Ordering::SeqCst)
    }

    /// Lets nothing pass, in either direction, or all of it.
    pub(super) fn be_silent(&self, is_silent: bool) {
        self.state.is_silent.send_replace(is_silent);
    }
}

async fn pass(mut client: TcpStream, state: Arc<State>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", state.server)).await else {
        return;
    };
    let (mut up, mut down) = (vec![0; 65536], vec![0; 65536]);
    let mut silent = state.is_silent.subscribe();
    let mut is_to_be_lost = false;
    loop {
        if silent.wait_for(|is_silent| !is_silent).await.is_err() {
            return;
        }
        tokio::select! {
            read = client.read(&mut up) => {
                let Ok(length @ 1..) = read else { return };
                let text = String::from_utf8_lossy(&up[..length]);
                let wanted = text.contains(state.word) && text.contains("EVALSHA");
                if wanted && state.lose.load(Ordering::SeqCst) > 0 {
                    is_to_be_lost = true;
                }
                if server.write_all(&up[..length]).await.is_err() {
                    return;
                }
            }
            read = server.read(&mut down) => {
                let Ok(length @ 1..) = read else { return };
                if is_to_be_lost && !down.starts_with(b"-NOSCRIPT") {
                    state.lose.fetch_sub(1, Ordering::SeqCst);
                    state.lost.fetch_add(1, Ordering::SeqCst);
                    return;
                }
                if client.write_all(&down[..length]).await.is_err() {
                    return;
                }
            }
            _ = silent.changed() => {}
        }
    }
}
