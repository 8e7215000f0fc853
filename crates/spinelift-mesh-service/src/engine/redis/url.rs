//! `REDIS_URL`: which servers there are, of which kind, and how they are to be spoken to.

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo};
use std::fmt;

/// Servers of Redis or Valkey. Its `Debug` and `Display` leave out all that may be a secret.
#[derive(Clone)]
pub struct RedisUrl {
    pub(super) kind: Kind,
    /// The servers, or sentinels, in the order of the URL.
    pub(super) servers: Vec<ConnectionInfo>,
    shown: String,
}

#[derive(Clone)]
pub(super) enum Kind {
    /// One server.
    One,
    /// A cluster, some of whose servers are known.
    Cluster,
    /// A server that sentinels know under this name.
    Sentinel {
        master: String,
        user: Option<String>,
        password: Option<String>,
    },
}

impl RedisUrl {
    /// Reads `redis://`, `rediss://`, `valkey://`, `valkeys://`, `unix:`, and, with several hosts
    /// separated by commas, the same with `+cluster` or `+sentinel` behind the scheme; `None` if
    /// it is something else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once(':')?;
        let (base, kind) = match scheme.split_once('+') {
            Some((base, "cluster")) => (base, Some("cluster")),
            Some((base, "sentinel")) => (base, Some("sentinel")),
            Some(_) => return None,
            None => (scheme, None),
        };
        if base == "unix" && kind.is_none() {
            let info = text.into_connection_info().ok()?;
            let path = rest.split('?').next().unwrap_or_default();
            return Some(Self::new(Kind::One, vec![info], format!("unix:{path}")));
        }
        if !matches!(base, "redis" | "rediss" | "valkey" | "valkeys") {
            return None;
        }
        let Parts {
            user,
            hosts,
            path,
            query,
        } = Parts::of(rest.strip_prefix("//")?)?;
        let default_port = match kind {
            Some("sentinel") => ":26379",
            _ => "",
        };
        let server = |host: &str| {
            let port = if has_port(host) { "" } else { default_port };
            let url = format!("{base}://{user}{host}{port}{path}");
            url.into_connection_info().ok()
        };
        let servers = hosts.split(',').map(server).collect::<Option<Vec<_>>>()?;
        let shown = format!("{scheme}://{hosts}{path}");
        let kind = match kind {
            // A cluster has one database.
            Some("cluster") if query.is_empty() && matches!(path, "" | "/" | "/0") => Kind::Cluster,
            Some("sentinel") => sentinel(query)?,
            None if query.is_empty() && servers.len() == 1 => Kind::One,
            _ => return None,
        };
        Some(Self::new(kind, servers, shown))
    }

    /// Whether the servers are spoken to with TLS.
    pub(super) fn is_encrypted(&self) -> bool {
        let mut servers = self.servers.iter();
        servers.any(|server| matches!(server.addr(), ConnectionAddr::TcpTls { .. }))
    }

    fn new(kind: Kind, servers: Vec<ConnectionInfo>, shown: String) -> Self {
        Self {
            kind,
            servers,
            shown,
        }
    }
}

/// What follows `scheme://`.
struct Parts<'a> {
    /// With its `@`; empty for none.
    user: &'a str,
    hosts: &'a str,
    /// With its `/`; empty for none.
    path: &'a str,
    query: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        if text.contains('#') {
            return None;
        }
        let (text, query) = text.split_once('?').unwrap_or((text, ""));
        // A password may hold a slash, but none that is not escaped.
        let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        Some(Self {
            user,
            hosts,
            path,
            query,
        })
    }
}

fn has_port(host: &str) -> bool {
    host.rsplit_once(':')
        .is_some_and(|(_, port)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()))
}

fn sentinel(query: &str) -> Option<Kind> {
    let (mut master, mut user, mut password) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let slot = match &*name {
            "master" => &mut master,
            "sentinel_user" => &mut user,
            "sentinel_password" => &mut password,
            _ => return None,
        };
        *slot = Some(value.into_owned());
    }
    Some(Kind::Sentinel {
        master: master?,
        user,
        password,
    })
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_of_servers_are_told_apart_and_no_secret_is_shown() {
        for (text, servers, shown) in [
            ("redis://localhost:6379/0", 1, "redis://localhost:6379/0"),
            ("rediss://u:p%40@h", 1, "rediss://h"),
            ("valkeys://:p@h:1/2", 1, "valkeys://h:1/2"),
            ("unix:///run/redis.sock?pass=p", 1, "unix:///run/redis.sock"),
            (
                "redis+cluster://u:p@a:1,b:2,[::1]:3",
                3,
                "redis+cluster://a:1,b:2,[::1]:3",
            ),
            (
                "rediss+sentinel://u:p@a,b:2/3?master=m&sentinel_password=p",
                2,
                "rediss+sentinel://a,b:2/3",
            ),
        ] {
            let url = RedisUrl::parse(text).expect(text);
            assert_eq!((url.servers.len(), &*url.to_string()), (servers, shown));
        }
        let sentinel = RedisUrl::parse("redis+sentinel://a/?master=m").expect("valid");
        assert_eq!(sentinel.servers[0].addr().to_string(), "a:26379");
        for bad in [
            "",
            "localhost",
            "http://h",
            "redis://a,b",
            "redis://h/x",
            "redis://h?x=1",
            "rediss://h#insecure",
            "redis+cluster://a/1",
            "redis+sentinel://a",
            "redis+unix://a",
        ] {
            assert!(RedisUrl::parse(bad).is_none(), "{bad}");
        }
    }
}
