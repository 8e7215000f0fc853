//! Who a request comes from.

use crate::auth::{self, ApiKeys, KeyId};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::HeaderMap;
use axum::middleware::Next;
use axum::response::Response;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

const FORWARDED_FOR: &str = "x-forwarded-for";

/// A client: its API key if it has one, else its address. What it displays is fit for logs and
/// tells clients apart.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Client {
    /// Authenticated.
    Key(KeyId),
    /// The address; of IPv6 the network of 64 bits, within which one client has all addresses.
    Address(IpAddr),
}

impl Client {
    /// Whether the client has authenticated.
    pub(crate) fn has_key(&self) -> bool {
        matches!(self, Self::Key(_))
    }

    fn at(address: IpAddr) -> Self {
        Self::Address(match address {
            IpAddr::V4(_) => address,
            IpAddr::V6(address) => {
                Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into()
            }
        })
    }
}

impl fmt::Display for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(id) => id.fmt(f),
            Self::Address(address @ IpAddr::V4(_)) => address.fmt(f),
            Self::Address(address @ IpAddr::V6(_)) => write!(f, "{address}/64"),
        }
    }
}

/// Tells clients from each other.
#[derive(Clone)]
pub(crate) struct Clients {
    keys: ApiKeys,
    proxies: Arc<[IpNet]>,
}

impl Clients {
    /// With the settings `API_KEYS` and `TRUSTED_PROXIES`.
    pub(crate) fn new(keys: ApiKeys, proxies: &[IpNet]) -> Self {
        Self {
            keys,
            proxies: proxies.into(),
        }
    }

    fn identify(&self, request: &Request) -> Client {
        let headers = request.headers();
        if let Some(key) = auth::authenticated(&self.keys, headers) {
            return Client::Key(key);
        }
        let peer = request.extensions().get::<ConnectInfo<SocketAddr>>();
        let peer = peer.map_or(Ipv4Addr::UNSPECIFIED.into(), |peer| peer.0.ip());
        Client::at(self.address(peer, headers))
    }

    /// Each proxy appends the address it was asked from. So the list is believed from its end,
    /// as far as it was written by proxies that are trusted.
    fn address(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut address = peer.to_canonical();
        let values = headers.get_all(FORWARDED_FOR).iter().rev();
        let entries = values.flat_map(|value| value.as_bytes().rsplit(|&byte| byte == b','));
        for entry in entries.map(<[u8]>::trim_ascii) {
            if !self.trusts(address) {
                break;
            }
            match forwarded_address(entry) {
                Some(forwarded) => address = forwarded.to_canonical(),
                None if entry.is_empty() => {}
                None => break,
            }
        }
        address
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.proxies.iter().any(|proxy| proxy.contains(&address))
    }
}

/// An address as proxies write it: with or without a port, IPv6 with or without brackets.
fn forwarded_address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let bare = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    let with_port = || text.parse::<SocketAddr>().ok().map(|address| address.ip());
    text.parse().ok().or_else(bare).or_else(with_port)
}

/// Notes for everything further in who is asking.
pub(crate) async fn identify_client(
    State(clients): State<Clients>,
    mut request: Request,
    next: Next,
) -> Response {
    let client = clients.identify(&request);
    request.extensions_mut().insert(client);
    next.run(request).await
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    /// The client of a request from `peer` with these headers, behind two trusted networks.
    fn client(peer: &str, forwarded: &[&[u8]]) -> String {
        let proxies = ["10.0.0.0/8", "2001:db8::1/128"].map(|net| net.parse().expect("a network"));
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header(FORWARDED_FOR, *value);
        }
        let mut request = request.body(Body::empty()).expect("valid");
        let peer = SocketAddr::new(peer.parse().expect("an address"), 1);
        request.extensions_mut().insert(ConnectInfo(peer));
        let clients = Clients::new(ApiKeys::default(), &proxies);
        clients.identify(&request).to_string()
    }

    #[test]
    fn a_peer_that_is_no_trusted_proxy_is_the_client_whatever_it_says() {
        assert_eq!(client("203.0.113.7", &[]), "203.0.113.7");
        assert_eq!(client("203.0.113.7", &[b"198.51.100.1"]), "203.0.113.7");
        assert_eq!(client("::ffff:203.0.113.7", &[]), "203.0.113.7");
        assert_eq!(client("2001:db8:1:2:3:4:5:6", &[]), "2001:db8:1:2::/64");
    }

    #[test]
    fn behind_proxies_the_client_is_the_last_address_not_trusted() {
        for (forwarded, expected) in [
            (vec![b"198.51.100.1".as_slice()], "198.51.100.1"),
            // What stands left of it may be forged.
            (vec![b"1.2.3.4, 198.51.100.1"], "198.51.100.1"),
            (vec![b"1.2.3.4, 198.51.100.1, 10.1.1.1"], "198.51.100.1"),
            (
                vec![b"1.2.3.4", b"198.51.100.1", b"10.1.1.1"],
                "198.51.100.1",
            ),
            (vec![b"198.51.100.1,, ,"], "198.51.100.1"),
            (vec![b"198.51.100.1:4711"], "198.51.100.1"),
            (vec![b"2001:db8:9::7"], "2001:db8:9::/64"),
            (vec![b"[2001:db8:9::7]"], "2001:db8:9::/64"),
            (vec![b"[2001:db8:9::7]:80"], "2001:db8:9::/64"),
            (vec![b"198.51.100.1, 2001:db8::1"], "198.51.100.1"),
            (vec![b"::ffff:198.51.100.1"], "198.51.100.1"),
            // Nobody but trusted proxies.
            (vec![b"10.9.9.9, 10.8.8.8"], "10.9.9.9"),
            (vec![], "10.0.0.1"),
            (vec![b""], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", &forwarded), expected, "{forwarded:?}");
        }
    }

    #[test]
    fn nothing_left_of_garbage_is_believed() {
        for garbage in [
            b"unknown".as_slice(),
            b"\xff\xfe",
            b"198.51.100.1:",
            b"[198.51.100.1",
            b"1.2.3.4 198.51.100.1",
            b"300.1.1.1",
        ] {
            let value = [b"198.51.100.1, ", garbage, b", 10.7.7.7"].concat();
            assert_eq!(client("10.0.0.1", &[&value]), "10.7.7.7", "{garbage:?}");
        }
    }
}
