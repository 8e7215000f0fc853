//! Serving connections: no more at a time than there is room for, and none that only waits.
//!
//! `axum::serve` sets no bounds: a thousand clients that never finish their first line would take
//! every file descriptor, and with them the service, for ever.

use crate::metrics::{Held, Metrics};
use crate::overflow::{HEAD_TIMEOUT, Overflow, PATIENCE, RESERVE};
use crate::settings::Settings;
use axum::Router;
use axum::extract::ConnectInfo;
use axum::serve::Listener;
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_io_timeout::TimeoutWriter;
use tower::ServiceExt;

/// Most bytes of a request's head; hyper would take six times as many, from each client.
const HEAD: usize = 64 * 1024;

/// What IDLE_TIMEOUT shrinks to when room gets scarce: enough for a client that has something to
/// say, and clients that say nothing hold up the others no longer.
const SCARCE_IDLE_TIMEOUT: Duration = Duration::from_secs(2);

/// A permit of a semaphore that is never closed.
async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    match Arc::clone(semaphore).acquire_owned().await {
        Ok(permit) => permit,
        Err(_) => std::future::pending().await,
    }
}

/// Accepts connections and serves them.
pub(crate) struct Server {
    listener: TcpListener,
    router: Router,
    /// One permit for each connection that may still be accepted.
    room: Arc<Semaphore>,
    most: usize,
    /// The same for those beyond.
    reserve: Arc<Semaphore>,
    /// Whether there has been no room for a while.
    is_stuck: bool,
    idle_timeout: Duration,
    write_timeout: Duration,
    metrics: Arc<Metrics>,
}

/// The place of a connection, until it is dropped.
struct Place {
    in_reserve: bool,
    _permit: OwnedSemaphorePermit,
}

impl Place {
    fn room(permit: OwnedSemaphorePermit) -> Self {
        Self {
            in_reserve: false,
            _permit: permit,
        }
    }

    fn reserved(permit: OwnedSemaphorePermit) -> Self {
        Self {
            in_reserve: true,
            _permit: permit,
        }
    }
}

impl Server {
    pub(crate) fn new(
        listener: TcpListener,
        router: Router,
        settings: &Settings,
        metrics: Arc<Metrics>,
    ) -> Self {
        let most = settings.max_connections.get().min(Semaphore::MAX_PERMITS);
        Self {
            listener,
            router,
            room: Arc::new(Semaphore::new(most)),
            most,
            reserve: Arc::new(Semaphore::new(RESERVE)),
            is_stuck: false,
            idle_timeout: settings.idle_timeout,
            write_timeout: settings.write_timeout,
            metrics,
        }
    }

    /// Serves until `shutdown` completes, and then until the requests that had begun are answered.
    /// Dropping the future cuts the connections.
    pub(crate) async fn run(mut self, shutdown: impl Future<Output = ()>) {
        let mut shutdown = pin!(shutdown);
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            let (stream, peer, place) = tokio::select! {
                accepted = self.accept() => accepted,
                () = &mut shutdown => break,
            };
            while connections.try_join_next().is_some() {}
            // The client is identified by its address, which no header can tell for sure.
            let router = self.router.clone();
            let is_overflow = place.in_reserve;
            let router = router.map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                if is_overflow {
                    request.extensions_mut().insert(Overflow);
                }
                request
            });
            let connection = graceful.watch(self.http(is_overflow).serve_connection(
                TokioIo::new(self.bounded(stream)),
                TowerToHyperService::new(router),
            ));
            let open = Held::new(&self.metrics.http.connections);
            connections.spawn(async move {
                // A client that breaks off or says nothing is no event.
                let _ = connection.await;
                drop((place, open));
            });
        }
        drop(self.listener);
        graceful.shutdown().await;
    }

    /// Waits for a place first: what is not accepted waits in the system's queue, at its expense.
    async fn accept(&mut self) -> (TcpStream, SocketAddr, Place) {
        let place = self.place().await;
        // Retries by itself, with a pause when the process has no file descriptor left.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        // There may be room by now.
        let room = match place.in_reserve {
            true => Arc::clone(&self.room).try_acquire_owned().ok(),
            false => None,
        };
        (stream, peer, room.map_or(place, Place::room))
    }

    /// Room, or a place in the reserve once it is clear that there will be no room for a while: a
    /// burst of clients waits for its turn, but health checks do not wait for what does not end.
    async fn place(&mut self) -> Place {
        if !self.is_stuck
            && let Ok(room) = timeout(PATIENCE, acquire(&self.room)).await
        {
            return Place::room(room);
        }
        let place = tokio::select! {
            biased;
            permit = acquire(&self.room) => Place::room(permit),
            permit = acquire(&self.reserve) => Place::reserved(permit),
        };
        self.is_stuck = place.in_reserve;
        place
    }

    /// Only writing that makes no progress is bounded: an answer may take its time.
    fn bounded(&self, stream: TcpStream) -> Pin<Box<TimeoutWriter<TcpStream>>> {
        let mut stream = TimeoutWriter::new(stream);
        stream.set_timeout(Some(self.write_timeout));
        Box::pin(stream)
    }

    fn http(&self, is_overflow: bool) -> http1::Builder {
        let scarce = self.room.available_permits() < self.most / 2;
        let idle_timeout = match scarce {
            _ if is_overflow => self.idle_timeout.min(HEAD_TIMEOUT),
            true => self.idle_timeout.min(SCARCE_IDLE_TIMEOUT),
            false => self.idle_timeout,
        };
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(idle_timeout)
            .max_buf_size(HEAD)
            .max_header_size(HEAD)
            // When room gets scarce nobody keeps a connection for later: more clients than there
            // are connections still get their turns.
            .keep_alive(!scarce);
        http
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::{Body, Bytes};
    use axum::routing::get;
    use http_body::Frame;
    use std::convert::Infallible;
    use std::task::{Context, Poll};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::sync::mpsc;

    /// A body of what is sent through a channel.
    struct Sent(mpsc::Receiver<Bytes>);

    impl http_body::Body for Sent {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            let received = self.0.poll_recv(cx);
            received.map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
        }
    }

    /// A client's connection to a server that answers with what is sent through the channel.
    async fn connection(write_timeout: Duration) -> (TcpStream, mpsc::Sender<Bytes>) {
        let (sender, receiver) = mpsc::channel(1);
        let body = Arc::new(parking_lot::Mutex::new(Some(receiver)));
        let answer = move || {
            let receiver = body.lock().take();
            async move { receiver.map_or_else(Body::empty, |receiver| Body::new(Sent(receiver))) }
        };
        let settings = Settings {
            write_timeout,
            ..Settings::default()
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().route("/", get(answer));
        let metrics = Metrics::new(&settings);
        let server = Server::new(listener, router, &settings, metrics);
        tokio::spawn(server.run(std::future::pending()));
        let mut stream = TcpStream::connect(address).await.expect("it listens");
        let request = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
        stream.write_all(request).await.expect("sent");
        (stream, sender)
    }

    #[tokio::test]
    async fn a_client_that_does_not_read_is_cut_off() {
        let (stream, sender) = connection(Duration::from_millis(100)).await;
        let cut_off = async { while sender.send(vec![0; 1 << 20].into()).await.is_ok() {} };
        let cut_off = tokio::time::timeout(Duration::from_secs(60), cut_off).await;
        assert!(cut_off.is_ok(), "it is sent to for ever");
        drop(stream);
    }

    #[tokio::test]
    async fn an_answer_may_pause_for_longer_than_writing_may() {
        let timeout = Duration::from_millis(50);
        let (mut stream, sender) = connection(timeout).await;
        for part in ["first", "second", "third"] {
            sender.send(part.into()).await.expect("it is served");
            tokio::time::sleep(4 * timeout).await;
        }
        drop(sender);
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("whole");
        for part in ["200 OK", "first", "second", "third", "\r\n0\r\n"] {
            assert!(answer.contains(part), "{part} in {answer}");
        }
    }
}
