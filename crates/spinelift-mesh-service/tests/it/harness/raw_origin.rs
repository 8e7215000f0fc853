//! A server of images that writes its answers byte by byte, and breaks the rules of HTTP where a
//! test wants it to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// What is done once a request has come.
#[derive(Clone)]
pub(crate) enum Step {
    Send(Vec<u8>),
    /// A byte now and then, for ever.
    Drip(u8),
    /// Nothing more, but the connection stays open.
    Hang,
    Close,
}

/// A request as it came.
#[derive(Clone)]
pub(crate) struct Received {
    /// Which connection it came on, the first being 0.
    pub(crate) connection: usize,
    pub(crate) path: String,
    /// All lines, in lower case.
    pub(crate) head: String,
}

impl Received {
    /// The value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let line = |line: &'_ str| line.strip_prefix(name).is_some_and(|l| l.starts_with(':'));
        let found = self.head.lines().find(|l| line(l))?;
        found.split_once(':').map(|(_, value)| value.trim())
    }
}

type Script = dyn Fn(&Received, usize) -> Vec<Step> + Send + Sync;

pub(crate) struct RawOrigin {
    pub(crate) address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl RawOrigin {
    /// `script` gets a request, and how many for its path came before it.
    pub(crate) async fn start(
        script: impl Fn(&Received, usize) -> Vec<Step> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let script: Arc<Script> = Arc::new(script);
        let log = Arc::clone(&received);
        tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(
                    stream,
                    connection,
                    Arc::clone(&log),
                    Arc::clone(&script),
                ));
            }
        });
        Self { address, received }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The requests for a path.
    pub(crate) fn received(&self, path: &str) -> Vec<Received> {
        let all = self.received.lock().unwrap();
        all.iter().filter(|r| r.path == path).cloned().collect()
    }
}

async fn serve(
    mut stream: TcpStream,
    connection: usize,
    log: Arc<Mutex<Vec<Received>>>,
    script: Arc<Script>,
) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap().to_owned();
        let request = Received {
            connection,
            path,
            head: head.to_ascii_lowercase(),
        };
        let before = {
            let mut log = log.lock().unwrap();
            let before = log.iter().filter(|r| r.path == request.path).count();
            log.push(request.clone());
            before
        };
        for step in script(&request, before) {
            let sent = match step {
                Step::Send(bytes) => stream.write_all(&bytes).await,
                Step::Hang => std::future::pending().await,
                Step::Close => return,
                Step::Drip(byte) => loop {
                    if let Err(error) = stream.write_all(&[byte]).await {
                        break Err(error);
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                },
            };
            // The client has had enough.
            if sent.is_err() {
                return;
            }
        }
    }
}

async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

/// An answer with a body and these headers, each with its line end.
pub(crate) fn answer(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {status} Status\r\n{headers}\r\n").into_bytes();
    answer.extend_from_slice(body);
    answer
}

/// A complete answer, with its length.
pub(crate) fn whole(status: u16, headers: &str, body: &[u8]) -> Vec<Step> {
    let headers = format!("content-length: {}\r\n{headers}", body.len());
    vec![Step::Send(answer(status, &headers, body))]
}
