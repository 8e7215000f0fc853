//! Name resolution that yields only addresses that may be connected to.

use super::Trust;
use crate::metrics::Blocked;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::net::SocketAddr;
use std::time::Duration;

/// A name server that takes longer than this might as well be down.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Resolves for a client that trusts hosts as far as `0` says. The client connects to the very
/// addresses that were checked, so a name cannot change its mind in between.
#[derive(Debug)]
pub(super) struct CheckedResolver(pub(super) Trust, pub(super) Blocked);

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (trust, blocked) = (self.0, self.1.clone());
        Box::pin(async move {
            // Port 0 stands for the one in the URL.
            let lookup = tokio::net::lookup_host((name.as_str(), 0));
            let addresses: Vec<SocketAddr> =
                tokio::time::timeout(TIMEOUT, lookup).await??.collect();
            // One address that is refused condemns the name: it is no accident that it is there.
            for address in &addresses {
                let checked = trust.check(name.as_str(), address.ip());
                checked.inspect_err(|refused| blocked.count(refused))?;
            }
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
