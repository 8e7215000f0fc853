//! Name resolution: the system's hosts file, then its name servers or those of a setting.
//!
//! Not the system's `getaddrinfo`: nobody can stop that, and a name server that is down would
//! leave a thread behind for every name that was asked for.

use super::{AddressPolicy, Trust, connecting};
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::Query;
use hickory_resolver::proto::rr::{Name, RecordType};
use hickory_resolver::{Hosts, TokioResolver, system_conf};
use reqwest::dns::{Addrs, Resolve, Resolving};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Longest that an answer is remembered. Containers change their addresses and keep their names;
/// a burst of jobs for one host needs no more than this.
const REMEMBERED: Duration = Duration::from_secs(10);
const REMEMBERED_NONE: Duration = Duration::from_secs(1);
const REMEMBERED_NAMES: u64 = 1024;

/// Most addresses of a name that are connected to, one after the other: names can have thousands.
const MAX_ADDRESSES: usize = 8;

/// Why a name has no address to connect to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ResolveError {
    /// The name servers know that it does not exist.
    #[error("there is no host named {0}")]
    NoSuchName(String),
    /// It exists, with records of other kinds.
    #[error("the name {0} has no address")]
    NoAddress(String),
    /// No name server said anything in time.
    #[error(
        "no name server answered for {name} within {} s (DNS_TIMEOUT); \
         DNS_SERVERS can name others",
        .limit.as_secs_f64()
    )]
    TimedOut {
        /// The name that was asked for.
        name: String,
        /// `DNS_TIMEOUT`.
        limit: Duration,
    },
    /// The name servers failed, or cannot be reached.
    #[error("the name {name} could not be resolved: {reason}")]
    Failed {
        /// The name that was asked for.
        name: String,
        /// What they said.
        reason: String,
    },
}

impl ResolveError {
    /// Whether the name may resolve a little later.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, Self::TimedOut { .. } | Self::Failed { .. })
    }
}

/// Resolves names, checked or not.
#[derive(Debug, Clone)]
pub(super) struct NameResolver {
    hosts: Arc<Hosts>,
    servers: TokioResolver,
    timeout: Duration,
}

impl NameResolver {
    /// Asks `servers`, or those that the system is configured with if there are none.
    pub(super) fn new(servers: &[SocketAddr], timeout: Duration) -> Result<Self, NetError> {
        let (config, mut options) = configuration(servers);
        // Two tries, so that a packet may be lost, and time to use one of two answers (A, AAAA)
        // if the other never comes.
        options.timeout = timeout.mul_f64(0.4);
        options.attempts = 1;
        // Containers often have IPv6 addresses that lead nowhere.
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.cache_size = REMEMBERED_NAMES;
        options.positive_max_ttl = Some(REMEMBERED);
        options.negative_max_ttl = Some(REMEMBERED_NONE);
        // Asked below, before any name server and for the name as it stands.
        options.use_hosts_file = ResolveHosts::Never;
        let provider = TokioRuntimeProvider::default();
        let servers = TokioResolver::builder_with_config(config, provider)
            .with_options(options)
            .build()?;
        // A system without the file has no such names.
        let hosts = Arc::new(Hosts::from_system().unwrap_or_default());
        Ok(Self {
            hosts,
            servers,
            timeout,
        })
    }

    /// All addresses of a name; at least one.
    pub(super) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, ResolveError> {
        let failed = |reason: String| ResolveError::Failed {
            name: name.to_owned(),
            reason,
        };
        // The host of a URL: any international name is in ASCII by now, and underscores are
        // common in the names of containers.
        let parsed = Name::from_ascii(name).map_err(|error| failed(error.to_string()))?;
        let known = self.in_hosts_file(&parsed);
        if !known.is_empty() {
            return Ok(known);
        }
        let timed_out = || ResolveError::TimedOut {
            name: name.to_owned(),
            limit: self.timeout,
        };
        let lookup = tokio::time::timeout(self.timeout, self.servers.lookup_ip(parsed));
        let error = match lookup.await.map_err(|_| timed_out())? {
            Ok(found) => {
                let found: Vec<_> = found.iter().collect();
                return match found.is_empty() {
                    true => Err(ResolveError::NoAddress(name.to_owned())),
                    false => Ok(found),
                };
            }
            Err(error) => error,
        };
        Err(match error {
            error if error.is_nx_domain() => ResolveError::NoSuchName(name.to_owned()),
            NetError::Dns(DnsError::NoRecordsFound(_)) => ResolveError::NoAddress(name.to_owned()),
            NetError::Dns(DnsError::ResponseCode(code)) => {
                failed(format!("the name server answered {code}"))
            }
            NetError::Timeout => timed_out(),
            other => failed(format!("the name servers could not be asked ({other})")),
        })
    }

    fn in_hosts_file(&self, name: &Name) -> Vec<IpAddr> {
        let name = name.to_lowercase();
        [RecordType::A, RecordType::AAAA]
            .into_iter()
            .filter_map(|kind| {
                self.hosts
                    .lookup_static_host(&Query::query(name.clone(), kind))
            })
            .flat_map(|found| {
                let records = found.answers().iter();
                records.filter_map(|r| r.data.ip_addr()).collect::<Vec<_>>()
            })
            .collect()
    }
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// What the system says (name servers, search domains, options), with other name servers if some
/// are given. A container without a network has no such file; addresses and the hosts file still
/// serve there, so that is no reason not to start.
fn configuration(servers: &[SocketAddr]) -> (ResolverConfig, ResolverOpts) {
    let given: Vec<_> = servers.iter().copied().map(name_server).collect();
    match system_conf::read_system_conf() {
        Ok((config, options)) => {
            let (domain, search, own) = config.into_parts();
            // The domain of the machine's own name counts only where no list is given.
            let domain = domain.filter(|_| search.is_empty());
            let servers = if given.is_empty() { own } else { given };
            let config = ResolverConfig::from_parts(domain, search, servers);
            (config, options)
        }
        Err(_) if !given.is_empty() => (
            ResolverConfig::from_name_servers(given),
            ResolverOpts::default(),
        ),
        Err(error) => {
            tracing::warn!(
                %error,
                "the system names no name server that can be used; 127.0.0.1 will be asked, \
                 unless DNS_SERVERS is set"
            );
            let here = name_server((Ipv4Addr::LOCALHOST, 53).into());
            let config = ResolverConfig::from_name_servers(vec![here]);
            (config, ResolverOpts::default())
        }
    }
}

/// Resolves for a client that trusts hosts as far as `trust` says. The client connects to the
/// very addresses that were checked, so a name cannot change its mind in between; and what was
/// remembered is checked like what was just said.
#[derive(Debug, Clone)]
pub(super) struct CheckedResolver {
    pub(super) names: NameResolver,
    pub(super) policy: Arc<AddressPolicy>,
    pub(super) trust: Trust,
}

impl CheckedResolver {
    async fn checked(&self, name: &str) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
        let addresses = self.names.resolve(name).await?;
        // One address that is refused condemns the name: it is no accident that it is there.
        for address in &addresses {
            let judged = self.policy.check_address(self.trust, name, *address);
            judged.inspect_err(|refused| {
                // Clients do not hear what a name resolves to inside a network.
                tracing::info!(name, %address, "a name resolves to an address that is refused");
                self.policy.blocked.count(refused);
            })?;
        }
        // Port 0 stands for the one in the URL.
        let addresses = addresses
            .into_iter()
            .take(MAX_ADDRESSES)
            .map(|address| SocketAddr::new(address, 0));
        Ok(Box::new(addresses))
    }
}

/// Resolves for a client of services that the operator trusts.
#[derive(Debug, Clone)]
pub(super) struct TrustingResolver(pub(super) NameResolver);

impl Resolve for TrustingResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let names = self.0.clone();
        Box::pin(async move {
            let addresses = names.resolve(name.as_str()).await?;
            let addresses = addresses.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: reqwest::dns::Name) -> Resolving {
        let resolver = self.clone();
        Box::pin(async move {
            let _clock = connecting::pause_clock();
            resolver.checked(name.as_str()).await
        })
    }
}
