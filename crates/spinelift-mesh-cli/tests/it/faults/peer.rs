//! A server on raw sockets, as ill-behaved as a test wants it.

use serde_json::Value;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// One request, of which the head has been read.
pub(super) struct Exchange {
    pub(super) path: String,
    head: String,
    pub(super) stream: TcpStream,
}

impl Exchange {
    fn read(mut stream: TcpStream) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1).unwrap().to_owned();
        Ok(Exchange { path, head, stream })
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let found = lines.find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value)
    }

    pub(super) fn body(&mut self) -> Vec<u8> {
        let length = self
            .header("content-length")
            .map_or(0, |n| n.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        body
    }

    /// Whether all of it was taken.
    pub(super) fn send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Answers by the rules.
    pub(super) fn answer(&mut self, status: u16, headers: &str, body: &[u8]) {
        let length = body.len();
        self.send(
            format!(
                "HTTP/1.1 {status} S\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
            )
            .as_bytes(),
        );
        self.send(body);
    }

    /// Says no more until the other side has had enough.
    pub(super) fn hang(&mut self) {
        let _ = self.stream.read_to_end(&mut Vec::new());
    }
}

/// The server; it serves until the tests end.
pub(super) struct Peer(SocketAddr);

impl Peer {
    pub(super) fn start(serve: impl Fn(&mut Exchange) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = Arc::new(serve);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let (stream, serve) = (stream.unwrap(), Arc::clone(&serve));
                thread::spawn(move || {
                    if let Ok(mut exchange) = Exchange::read(stream) {
                        serve(&mut exchange);
                    }
                });
            }
        });
        Peer(address)
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.0)
    }
}

/// The end of a job, as a receiver was told of it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Told {
    pub(super) id: String,
    pub(super) event: Value,
}

/// What a receiver was told.
#[derive(Clone, Default)]
pub(super) struct Mailbox {
    told: Arc<Mutex<Vec<Told>>>,
    refuses: Arc<AtomicBool>,
}

impl Mailbox {
    /// Notes a callback.
    pub(super) fn take(&self, exchange: &mut Exchange) {
        let told = Told {
            event: serde_json::from_slice(&exchange.body()).unwrap(),
            id: exchange.header("webhook-id").unwrap().to_owned(),
        };
        self.told.lock().unwrap().push(told);
    }

    /// How often something came under an id.
    pub(super) fn times(&self, id: &str) -> usize {
        let all = self.told.lock().unwrap();
        all.iter().filter(|told| told.id == id).count()
    }

    /// What came of a job or batch, in order.
    pub(super) fn all(&self, job: &str) -> Vec<Told> {
        let all = self.told.lock().unwrap();
        let of_job = all.iter().filter(|told| told.event["job_id"] == job);
        of_job.cloned().collect()
    }

    /// The ends of a job or batch.
    pub(super) fn ends(&self, job: &str) -> Vec<Told> {
        let all = self.all(job).into_iter();
        all.filter(|told| told.event["status"].is_string())
            .collect()
    }

    /// Whether what is told from now on is refused.
    pub(super) fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::SeqCst);
    }

    /// A receiver that takes everything, unless it is to refuse it.
    pub(super) fn receiver(&self) -> Peer {
        let mailbox = self.clone();
        Peer::start(move |exchange| {
            mailbox.take(exchange);
            let refuses = mailbox.refuses.load(Ordering::SeqCst);
            exchange.answer(if refuses { 500 } else { 200 }, "", b"");
        })
    }
}
