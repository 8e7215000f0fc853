//! The HTTP clients for connections to others; there is no other way out.

use super::resolver::CheckedResolver;
use super::{AddressPolicy, Refused, Trust};
use reqwest::redirect::Policy;
use reqwest::{Client, RequestBuilder};
use std::error::Error;
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
}

/// The HTTP clients could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot start: {}", innermost(.0))]
pub struct OutboundError(#[source] reqwest::Error);

/// The last error in the chain says what is wrong; the first only that something is.
fn innermost(error: &reqwest::Error) -> String {
    let mut error: &dyn Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

impl Outbound {
    pub(crate) fn new(
        policy: AddressPolicy,
        connect_timeout: Duration,
    ) -> Result<Self, OutboundError> {
        // An error means that a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let blocked = &policy.blocked;
        let client = |trust| {
            Client::builder()
                .user_agent(USER_AGENT)
                .dns_resolver(Arc::new(CheckedResolver(trust, blocked.clone())))
                // A proxy would resolve names itself, and a followed redirect go unchecked.
                .no_proxy()
                .redirect(Policy::none())
                .referer(false)
                .connect_timeout(connect_timeout)
                .pool_max_idle_per_host(IDLE_CONNECTIONS)
                .pool_idle_timeout(IDLE)
                .build()
                .map_err(OutboundError)
        };
        Ok(Self {
            public_only: client(Trust::PublicOnly)?,
            private_too: client(Trust::PrivateToo)?,
            policy: Arc::new(policy),
        })
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

    /// The refusal inside an error of a request: a name resolved to an address that is closed.
    pub(crate) fn refusal(error: &reqwest::Error) -> Option<Refused> {
        let mut source = error.source();
        while let Some(error) = source {
            if let Some(refused) = error.downcast_ref::<Refused>() {
                return Some(refused.clone());
            }
            source = error.source();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `localhost` resolves everywhere, and to an address that is not public. The policy would
    /// refuse the name itself, so the clients are asked directly.
    #[tokio::test]
    async fn a_name_that_resolves_to_a_private_address_is_refused_while_connecting() {
        let outbound =
            Outbound::new(AddressPolicy::default(), Duration::from_secs(5)).expect("starts");
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
            .await
            .expect("listens");
        let port = listener.local_addr().expect("bound").port();
        let url = format!("http://localhost:{port}/");

        let error = outbound
            .public_only
            .get(&url)
            .send()
            .await
            .expect_err("refused");
        let refused = Outbound::refusal(&error).expect("by the policy");
        assert!(matches!(refused, Refused::NotPublic { .. }));
        assert!(
            refused.to_string().contains("ALLOWED_PRIVATE_HOSTS"),
            "{refused}"
        );

        let connecting = outbound.private_too.get(&url).send();
        let accepting = listener.accept();
        tokio::select! {
            accepted = accepting => assert!(accepted.is_ok()),
            failed = connecting => panic!("not connected: {failed:?}"),
        }
    }
}
