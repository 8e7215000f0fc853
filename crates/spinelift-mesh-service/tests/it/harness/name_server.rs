//! A name server on a port of its own, which answers as a test wants it to.
//!
//! The unit tests of `address` include this file as well.
#![allow(clippy::unwrap_used)]

use hickory_resolver::proto::op::{Message, MessageType, ResponseCode};
use hickory_resolver::proto::rr::rdata::CNAME;
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use tokio::net::UdpSocket;

/// What is said of a name.
#[derive(Clone)]
pub(crate) enum Answer {
    /// These addresses, of which those of the kind asked for are told.
    Addresses(Vec<IpAddr>),
    /// The name is another's, that of yet another and so on; the last has these addresses.
    Aliases(Vec<&'static str>, Vec<IpAddr>),
    NoSuchName,
    Failure,
    /// Nothing at all.
    Silence,
}

/// The server; it runs as long as the test.
pub(crate) struct NameServer {
    pub(crate) address: SocketAddr,
    asked: Arc<Mutex<HashMap<(String, RecordType), usize>>>,
}

impl NameServer {
    /// `answer` gets the name and how often it was asked for before, with this kind of record.
    pub(crate) async fn start(
        answer: impl Fn(&str, RecordType, usize) -> Answer + Send + Sync + 'static,
    ) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let counts = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut packet = [0; 2048];
            loop {
                let (length, client) = socket.recv_from(&mut packet).await.unwrap();
                let query = Message::from_vec(&packet[..length]).unwrap();
                let (name, kind) = {
                    let question = &query.queries[0];
                    (question.name().to_ascii(), question.query_type())
                };
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                let before = {
                    let mut counts = counts.lock().unwrap();
                    let count: &mut usize = counts.entry((name.clone(), kind)).or_default();
                    *count += 1;
                    *count - 1
                };
                if let Some(message) = reply(query, &answer(&name, kind, before)) {
                    socket.send_to(&message, client).await.unwrap();
                }
            }
        });
        Self { address, asked }
    }

    /// How often a name was asked for.
    pub(crate) fn asked(&self, name: &str, kind: RecordType) -> usize {
        let asked = self.asked.lock().unwrap();
        asked.get(&(name.to_owned(), kind)).copied().unwrap_or(0)
    }
}

fn reply(query: Message, answer: &Answer) -> Option<Vec<u8>> {
    let question = query.queries[0].clone();
    let mut message = Message::response(query.metadata.id, query.metadata.op_code);
    assert_eq!(message.metadata.message_type, MessageType::Response);
    message.add_query(question.clone());
    let mut owner = question.name().clone();
    let addresses = match answer {
        Answer::Silence => return None,
        Answer::NoSuchName => {
            message.metadata.response_code = ResponseCode::NXDomain;
            &[][..]
        }
        Answer::Failure => {
            message.metadata.response_code = ResponseCode::ServFail;
            &[]
        }
        Answer::Addresses(addresses) => addresses,
        Answer::Aliases(names, addresses) => {
            for alias in names {
                let alias = Name::from_ascii(format!("{alias}.")).unwrap();
                let record = RData::CNAME(CNAME(alias.clone()));
                message.add_answer(Record::from_rdata(owner, 0, record));
                owner = alias;
            }
            addresses
        }
    };
    for &address in addresses {
        let data = RData::from(address);
        if data.record_type() == question.query_type() {
            message.add_answer(Record::from_rdata(owner.clone(), 0, data));
        }
    }
    Some(message.to_vec().unwrap())
}
