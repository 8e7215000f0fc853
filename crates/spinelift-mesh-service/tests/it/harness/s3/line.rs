//! The line to the server, which can fail in many ways.

use bytes::Bytes;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

/// What becomes of connections to the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Line {
    Works,
    /// They are refused.
    Gone,
    /// They are closed at once.
    Closes,
    /// Nothing is ever answered.
    Hangs,
    /// Each answer comes after this time.
    Slow(Duration),
    /// Answers come byte by byte, and take longer than anybody waits.
    Drips,
    /// Every request is answered with this status.
    Answers(u16),
}

/// Ports that the system does not give away by itself, so that nobody else takes the one that
/// connections are refused at.
const PORTS: std::ops::Range<u16> = 20_000..32_000;

/// Between two bytes.
const DRIP: Duration = Duration::from_millis(100);

/// Stands between the service and the server. A change cuts the connections that there are.
pub(crate) struct Outage {
    pub(crate) endpoint: String,
    line: watch::Sender<Line>,
}

impl Outage {
    pub(super) async fn start(server: String) -> Self {
        let (listener, port) = loop {
            let port = fastrand::u16(PORTS);
            if let Ok(listener) = listen(port).await {
                break (listener, port);
            }
        };
        let (line, changes) = watch::channel(Line::Works);
        tokio::spawn(serve(listener, port, server, changes));
        Self {
            endpoint: format!("http://127.0.0.1:{port}"),
            line,
        }
    }

    pub(crate) fn set(&self, line: Line) {
        self.line.send_replace(line);
    }
}

async fn listen(port: u16) -> io::Result<TcpListener> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await
}

/// Until the line is dropped.
async fn serve(
    listener: TcpListener,
    port: u16,
    server: String,
    mut changes: watch::Receiver<Line>,
) {
    let mut listener = Some(listener);
    loop {
        tokio::select! {
            biased;
            changed = changes.changed() => {
                if changed.is_err() {
                    return;
                }
                let line = *changes.borrow();
                listener = match (line, listener) {
                    (Line::Gone, _) => None,
                    (_, None) => Some(listen(port).await.expect("the port is still free")),
                    (_, listener) => listener,
                };
            }
            client = accept(listener.as_ref()) => {
                let (server, mut changes) = (server.clone(), changes.clone());
                let line = *changes.borrow_and_update();
                tokio::spawn(async move {
                    tokio::select! {
                        // An error is the end of either.
                        _ = carry(client, &server, line) => {}
                        _ = changes.changed() => {}
                    }
                });
            }
        }
    }
}

/// The next connection, if any is accepted.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    match listener {
        Some(listener) => listener.accept().await.unwrap().0,
        None => std::future::pending().await,
    }
}

async fn carry(mut client: TcpStream, server: &str, line: Line) -> io::Result<()> {
    match line {
        Line::Gone | Line::Closes => Ok(()),
        Line::Hangs => std::future::pending().await,
        Line::Works => {
            let mut server = TcpStream::connect(server).await?;
            copy_bidirectional(&mut client, &mut server).await?;
            Ok(())
        }
        Line::Answers(status) => {
            let mut server = TcpStream::connect(refuser(status).await).await?;
            copy_bidirectional(&mut client, &mut server).await?;
            Ok(())
        }
        Line::Slow(pause) => carry_slowly(client, server, pause, Duration::ZERO).await,
        Line::Drips => carry_slowly(client, server, Duration::ZERO, DRIP).await,
    }
}

/// Passes on what is asked at once, and what is answered after a pause; byte by byte, if there is to
/// be a time between them.
async fn carry_slowly(
    mut client: TcpStream,
    server: &str,
    pause: Duration,
    between: Duration,
) -> io::Result<()> {
    let mut server = TcpStream::connect(server).await?;
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut begins = false;
    loop {
        tokio::select! {
            length = client.read(&mut asked) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                server.write_all(&asked[..length]).await?;
                begins = true;
            }
            length = server.read(&mut answered) => {
                let length = length?;
                if length == 0 {
                    return Ok(());
                }
                if std::mem::take(&mut begins) {
                    sleep(pause).await;
                }
                let part = if between.is_zero() { length } else { 1 };
                for part in answered[..length].chunks(part) {
                    client.write_all(part).await?;
                    sleep(between).await;
                }
            }
        }
    }
}

/// A server that reads every request and answers it with a status.
async fn refuser(status: u16) -> SocketAddr {
    let status = axum::http::StatusCode::from_u16(status).unwrap();
    let answer = async move |_: Bytes| (status, "<Error><Code>InternalError</Code></Error>");
    let router = axum::Router::new().fallback(answer);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}
