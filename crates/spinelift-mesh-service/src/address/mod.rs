//! Which hosts may be connected to: the public internet, and private hosts that are named.

mod buckets;
mod connecting;
mod outbound;
mod ranges;
mod resolver;

pub use buckets::AllowedBucket;
pub(crate) use buckets::{ObjectAddress, ObjectRefused, is_bucket};
pub use outbound::OutboundError;
pub(crate) use outbound::{Outbound, OutboundLimits, Unreachable};
pub(crate) use resolver::ResolveError;

use crate::metrics::Blocked;
use std::fmt;
use std::net::IpAddr;
use url::{Host, Url};

/// The setting that opens private hosts; every refusal names it.
pub(crate) const SETTING: &str = "ALLOWED_PRIVATE_HOSTS";

/// A host, on one port or on all, that may have an address that is not public.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

impl AllowedHost {
    /// Reads `host` or `host:port`; an IPv6 address stands in brackets.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        // A URL parser normalizes the host just as it will in the URLs to compare with. The
        // user name keeps a text that is a URL itself from passing for a host.
        let url = Url::parse(&format!("ws://host@{text}")).ok()?;
        // A wildcard would be a host name to the parser, and open nothing.
        let wild = text.contains('*');
        let bare = !wild && url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || url.username() != "host" || url.password().is_some() || text.ends_with('/') {
            return None;
        }
        let port = match text.rsplit_once(':') {
            Some((_, digits)) if !digits.ends_with(']') => Some(digits.parse().ok()?),
            _ => None,
        };
        Some(Self {
            host: normal(url.host_str()?),
            port,
        })
    }

    fn covers(&self, host: &str, port: u16) -> bool {
        self.host == host && self.port.is_none_or(|own| own == port)
    }
}

impl fmt::Display for AllowedHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// A host name as it is compared: lower case, without the final dot of a fully qualified name.
fn normal(host: &str) -> String {
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

/// A host that is not connected to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// It is not public, and not named in the setting.
    #[error(
        "{host} is {reason}, and only public addresses are connected to; \
         the setting {SETTING} can name private hosts that are to be reached"
    )]
    NotPublic {
        /// The host in the URL.
        host: String,
        /// What its address is.
        reason: &'static str,
    },
    /// It is a cloud's metadata service, which no setting opens.
    #[error("{host} is a cloud metadata address, which is never connected to")]
    Metadata {
        /// The host in the URL.
        host: String,
    },
}

/// Whether a host is held to public addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    /// Public addresses only.
    PublicOnly,
    /// Named in the setting: private ones as well, but no metadata service.
    PrivateToo,
}

/// What may be connected to.
#[derive(Debug, Clone, Default)]
pub(crate) struct AddressPolicy {
    allowed: Vec<AllowedHost>,
    buckets: Vec<AllowedBucket>,
    blocked: Blocked,
    /// An address of this machine that passes for public, so that tests can have a public host
    /// without leaving the machine. What is shipped knows no such exception.
    #[cfg(test)]
    public_in_tests: Option<IpAddr>,
}

impl AddressPolicy {
    pub(crate) fn new(allowed: Vec<AllowedHost>) -> Self {
        Self {
            allowed,
            buckets: Vec::new(),
            blocked: Blocked::default(),
            #[cfg(test)]
            public_in_tests: None,
        }
    }

    /// The same, with what is refused counted.
    pub(crate) fn counting(self, blocked: Blocked) -> Self {
        Self { blocked, ..self }
    }

    /// The same, with buckets that images may come from.
    pub(crate) fn with_buckets(self, buckets: Vec<AllowedBucket>) -> Self {
        Self { buckets, ..self }
    }

    /// The object that an `s3:` URL names, if images may come from there.
    pub(crate) fn object(&self, url: &Url) -> Result<ObjectAddress, ObjectRefused> {
        let object = ObjectAddress::read(url)?;
        match self.buckets.iter().any(|bucket| bucket.covers(&object)) {
            true => Ok(object),
            false => Err(ObjectRefused::NotAllowed {
                bucket: object.bucket,
            }),
        }
    }

    /// Judges a URL by itself, before any name is resolved: addresses in it and `localhost`.
    /// A name may still resolve to an address that is refused at the [`Trust`] returned.
    pub(crate) fn check(&self, url: &Url) -> Result<Trust, Refused> {
        self.judge(url)
            .inspect_err(|refused| self.blocked.count(refused))
    }

    fn judge(&self, url: &Url) -> Result<Trust, Refused> {
        let trust = self.trust(url);
        match url.host() {
            Some(Host::Ipv4(address)) => {
                self.check_address(trust, &address.to_string(), address.into())?;
            }
            Some(Host::Ipv6(address)) => {
                self.check_address(trust, &address.to_string(), address.into())?;
            }
            Some(Host::Domain(name)) if trust == Trust::PublicOnly && is_localhost(name) => {
                return Err(Refused::NotPublic {
                    host: name.to_owned(),
                    reason: "this machine itself",
                });
            }
            _ => {}
        }
        Ok(trust)
    }

    /// Judges one address of `host`.
    fn check_address(&self, trust: Trust, host: &str, address: IpAddr) -> Result<(), Refused> {
        #[cfg(test)]
        if self.public_in_tests == Some(address) {
            return Ok(());
        }
        let host = host.to_owned();
        if ranges::is_metadata(address) {
            return Err(Refused::Metadata { host });
        }
        match (trust, ranges::not_public(address)) {
            (Trust::PublicOnly, Some(reason)) => Err(Refused::NotPublic { host, reason }),
            _ => Ok(()),
        }
    }

    fn trust(&self, url: &Url) -> Trust {
        let named = url
            .host_str()
            .zip(url.port_or_known_default())
            .is_some_and(|(host, port)| {
                let host = normal(host);
                self.allowed
                    .iter()
                    .any(|allowed| allowed.covers(&host, port))
            });
        if named {
            Trust::PrivateToo
        } else {
            Trust::PublicOnly
        }
    }
}

/// Whether a name is one of those that always mean this machine.
pub(crate) fn is_localhost(name: &str) -> bool {
    let name = normal(name);
    name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(allowed: &[&str]) -> AddressPolicy {
        let parse = |text: &&str| AllowedHost::parse(text).expect(text);
        AddressPolicy::new(allowed.iter().map(parse).collect())
    }

    fn check(policy: &AddressPolicy, url: &str) -> Result<Trust, Refused> {
        policy.check(&Url::parse(url).expect(url))
    }

    #[test]
    fn private_literals_and_localhost_are_refused_in_every_spelling() {
        let policy = policy(&[]);
        for url in [
            "http://127.0.0.1/",
            "http://2130706433/",
            "http://0x7f.1/",
            "http://0177.0.0.1/",
            "http://127.1/",
            "http://[::1]/",
            "http://[::ffff:127.0.0.1]/",
            "http://localhost/",
            "http://LOCALHOST./",
            "http://a.localhost/",
            "http://10.0.0.1:8080/",
            "http://0/",
            "http://169.254.169.254/latest/meta-data",
            "http://127.0.0.1./",
        ] {
            let refused = check(&policy, url).expect_err(url).to_string();
            assert!(
                refused.contains(SETTING) || refused.contains("metadata"),
                "{refused}"
            );
        }
        assert_eq!(check(&policy, "http://example.com/"), Ok(Trust::PublicOnly));
        assert_eq!(check(&policy, "http://1.1.1.1/"), Ok(Trust::PublicOnly));
    }

    #[test]
    fn the_setting_opens_the_named_host_and_port_only() {
        let policy = policy(&["rails.internal", "127.0.0.1:4000", "[::1]", "LocalHost:80"]);
        for (url, open) in [
            ("http://rails.internal:3000/", true),
            ("https://RAILS.internal./", true),
            ("http://127.0.0.1:4000/", true),
            ("http://127.0.0.1/", false),
            ("http://[::1]:9/", true),
            ("http://localhost/", true),
            ("http://localhost:81/", false),
        ] {
            let trusted = check(&policy, url) == Ok(Trust::PrivateToo);
            assert_eq!(trusted, open, "{url}");
        }
    }

    #[test]
    fn the_metadata_service_stays_closed() {
        let policy = policy(&["169.254.169.254"]);
        assert!(matches!(
            check(&policy, "http://169.254.169.254/"),
            Err(Refused::Metadata { .. })
        ));
    }

    #[test]
    fn an_allowed_host_is_a_host_and_nothing_else() {
        for bad in [
            "", "http://a", "a/b", "a/", "u@a", "a:b", "a:70000", "::1", "a?b", "a b", ":80", "*",
            "*.a",
        ] {
            assert_eq!(AllowedHost::parse(bad), None, "{bad:?}");
        }
        let shown = AllowedHost::parse("[::1]:80").expect("valid").to_string();
        assert_eq!(shown, "[::1]:80");
    }
}
