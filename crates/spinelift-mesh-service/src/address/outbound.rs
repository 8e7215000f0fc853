//! The HTTP clients for connections to others; there is no other way out.

use super::connecting::{ConnectTimedOut, ConnectTimeout};
use super::resolver::{CheckedResolver, NameResolver, TrustingResolver};
use super::{AddressPolicy, Refused, ResolveError, Trust};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use url::Url;

const USER_AGENT: &str = concat!("spinelift-mesh/", env!("CARGO_PKG_VERSION"));

/// Connections that are kept for the next request to the same host, and for how long: each takes
/// a file descriptor.
const IDLE_CONNECTIONS: usize = 16;
const IDLE: Duration = Duration::from_secs(30);

/// Makes requests to hosts that the [`AddressPolicy`] lets through.
///
/// Two clients, because the resolver sees a name without its port: whether the host may be
/// private is known before, from the URL, and picks the client.
#[derive(Debug, Clone)]
pub(crate) struct Outbound {
    policy: Arc<AddressPolicy>,
    public_only: Client,
    private_too: Client,
    names: NameResolver,
}

/// How long connecting may take, and who resolves names.
#[derive(Debug, Clone, Default)]
pub(crate) struct OutboundLimits {
    /// Name servers; the system's if there are none.
    pub(crate) dns_servers: Vec<SocketAddr>,
    /// Longest time for resolving a name.
    pub(crate) dns_timeout: Duration,
    /// Longest time for connecting, TLS included, once the name is resolved.
    pub(crate) connect_timeout: Duration,
}

/// The HTTP clients could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutboundError {
    /// The clients themselves.
    #[error("the HTTP client cannot start: {}", innermost(.0))]
    Client(#[source] reqwest::Error),
    /// What resolves names for them.
    #[error("names cannot be resolved (DNS_SERVERS): {0}")]
    Names(String),
}

/// The last error in the chain says what is wrong; the first only that something is.
fn innermost(error: &reqwest::Error) -> String {
    let mut error: &dyn Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Why no connection came about, where this module decided so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unreachable {
    /// A name resolved to an address that is closed.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A name did not resolve.
    #[error(transparent)]
    Name(#[from] ResolveError),
    /// Connecting took longer than this.
    #[error("no connection came about within {} s (IMAGE_CONNECT_TIMEOUT)", .0.as_secs_f64())]
    TimedOut(Duration),
}

impl Outbound {
    pub(crate) fn new(
        policy: AddressPolicy,
        limits: &OutboundLimits,
    ) -> Result<Self, OutboundError> {
        // An error means that a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let names = NameResolver::new(&limits.dns_servers, limits.dns_timeout)
            .map_err(|error| OutboundError::Names(error.to_string()))?;
        let policy = Arc::new(policy);
        let client = |trust| {
            let resolver = CheckedResolver {
                names: names.clone(),
                policy: Arc::clone(&policy),
                trust,
            };
            Client::builder()
                .user_agent(USER_AGENT)
                .dns_resolver(Arc::new(resolver))
                // A proxy would resolve names itself, and a followed redirect go unchecked.
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .http1_only()
                .connector_layer(ConnectTimeout(limits.connect_timeout))
                // Never reached, but what one of several addresses may take is a part of it.
                .connect_timeout(limits.dns_timeout + limits.connect_timeout)
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
                .pool_idle_timeout(IDLE)
                .build()
                .map_err(OutboundError::Client)
        };
        Ok(Self {
            public_only: client(Trust::PublicOnly)?,
            private_too: client(Trust::PrivateToo)?,
            policy,
            names,
        })
    }

    /// A client for services that the operator names, and no client ever does: they may have any
    /// address, and nothing is checked. A whole request may take `timeout`, if there is one.
    pub(crate) fn for_operator(
        &self,
        connect_timeout: Duration,
        timeout: Option<Duration>,
    ) -> Result<Client, OutboundError> {
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .dns_resolver(Arc::new(TrustingResolver(self.names.clone())))
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .http1_only()
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(IDLE_CONNECTIONS)
            .pool_idle_timeout(IDLE);
        let client = match timeout {
            Some(timeout) => client.timeout(timeout),
            None => client,
        };
        client.build().map_err(OutboundError::Client)
    }

    /// What may be connected to.
    pub(crate) fn policy(&self) -> &AddressPolicy {
        &self.policy
    }

    /// Begins a GET.
    pub(crate) fn get(&self, url: &Url) -> Result<RequestBuilder, Refused> {
        Ok(self.client(url)?.get(url.clone()))
    }

    /// Begins a POST.
    pub(crate) fn post(&self, url: &Url) -> Result<RequestBuilder, Refused> {
        Ok(self.client(url)?.post(url.clone()))
    }

    fn client(&self, url: &Url) -> Result<&Client, Refused> {
        Ok(match self.policy.check(url)? {
            Trust::PublicOnly => &self.public_only,
            Trust::PrivateToo => &self.private_too,
        })
    }

    /// Why no connection came about, if that is in an error of a request.
    pub(crate) fn unreachable(error: &reqwest::Error) -> Option<Unreachable> {
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return Some(refused.clone().into());
            }
            if let Some(name) = error.downcast_ref::<ResolveError>() {
                return Some(name.clone().into());
            }
            if let Some(ConnectTimedOut(limit)) = error.downcast_ref() {
                return Some(Unreachable::TimedOut(*limit));
            }
            source = error.source();
        }
        None
    }
}

#[cfg(test)]
mod tests;
