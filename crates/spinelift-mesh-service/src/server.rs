//! Serving connections: no more at a time than there is room for, and none that only waits.
//!
//! `axum::serve` sets no bounds: a thousand clients that never finish their first line would take
//! every file descriptor, and with them the service, for ever.

use crate::metrics::{Held, Metrics};
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
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;
use tower::ServiceExt;

/// Most bytes of a request's head; hyper would take six times as many, from each client.
const HEAD: usize = 64 * 1024;

/// Accepts connections and serves them.
pub(crate) struct Server {
    listener: TcpListener,
    router: Router,
    /// One permit for each connection that may still be accepted.
    room: Arc<Semaphore>,
    most: usize,
    idle_timeout: Duration,
    metrics: Arc<Metrics>,
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
            idle_timeout: settings.idle_timeout,
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
            let (stream, peer, room) = tokio::select! {
                accepted = self.accept() => accepted,
                () = &mut shutdown => break,
            };
            while connections.try_join_next().is_some() {}
            // The client is identified by its address, which no header can tell for sure.
            let router = self.router.clone();
            let router = router.map_request(move |mut request: Request<Incoming>| {
                request.extensions_mut().insert(ConnectInfo(peer));
                request
            });
            let connection = graceful.watch(
                self.http()
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router)),
            );
            let open = Held::new(&self.metrics.http.connections);
            connections.spawn(async move {
                // A client that breaks off or says nothing is no event.
                let _ = connection.await;
                drop((room, open));
            });
        }
        drop(self.listener);
        graceful.shutdown().await;
    }

    /// Waits for room first: what is not accepted waits in the system's queue, at its expense.
    async fn accept(&mut self) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
        // The semaphore is never closed.
        let room = Arc::clone(&self.room).acquire_owned().await.ok();
        // Retries by itself, with a pause when the process has no file descriptor left.
        let (stream, peer) = Listener::accept(&mut self.listener).await;
        (stream, peer, room)
    }

    fn http(&self) -> http1::Builder {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new())
            .header_read_timeout(self.idle_timeout)
            .max_buf_size(HEAD)
            .max_header_size(HEAD)
            // When room gets scarce nobody keeps a connection for later: more clients than there
            // are connections still get their turns.
            .keep_alive(self.room.available_permits() >= self.most / 2);
        http
    }
}
