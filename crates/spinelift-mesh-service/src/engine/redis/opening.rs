//! How the engine is opened.

use super::deliveries::Deliveries;
use super::fetch::Fetcher;
use super::held::Held;
use super::lease::Memory;
use super::link::Link;
use super::locks::Locks;
use super::node::Node;
use super::secrets::Secrets;
use super::servers::Servers;
use super::workers::Workers;
use super::{OpenError, RedisEngine, RedisUrl, Shared};
use super::{checks, fetch, lease, news, outbox, progress};
use crate::engine::{Bounds, EngineError};
use crate::metrics::RedisMetrics;
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinSet;

/// How an engine is to be opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The servers.
    pub url: RedisUrl,
    /// A PEM file of the authorities that are trusted; the system's if there is none.
    pub authorities: Option<PathBuf>,
    /// What all keys begin with, in braces: services with other namespaces know nothing of them.
    pub namespace: String,
    /// The name of this node; one that nobody else has, if there is none.
    pub node: Option<String>,
    /// How long what a node holds is its own after it was heard last.
    pub lease: Duration,
    /// Whether this node runs jobs and makes deliveries.
    pub works: bool,
    /// What it signs result URLs with, by a name that betrays nothing; `None` if it signs none. It
    /// warns of nodes that sign with something else.
    pub signing: Option<String>,
    /// The bounds.
    pub bounds: Bounds,
}

impl RedisEngine {
    /// Connects, looks whether the server is fit, takes the node's name and begins to work.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub async fn open(options: Options) -> Result<Self, OpenError> {
        Self::open_counting(options, RedisMetrics::default()).await
    }

    pub(crate) async fn open_counting(
        options: Options,
        metrics: RedisMetrics,
    ) -> Result<Self, OpenError> {
        // An error means that a provider is installed already, which serves as well.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let authorities = options.authorities.as_deref().map(read).transpose()?;
        let url = &options.url;
        let servers = Servers::new(url, authorities).map_err(|error| OpenError::Url {
            url: url.to_string(),
            reason: error.to_string(),
        })?;
        let prefix = format!("{{{}}}:", options.namespace);
        let link = Link::new(servers, url.clone(), prefix, metrics.clone());
        let failed = |error: EngineError| link.open_error(&error);
        checks::inspect(&link)
            .await
            .map_err(failed)?
            .map_err(|reason| OpenError::Unsuitable {
                url: url.to_string(),
                reason,
            })?;
        let node = Node::new(options.node.as_deref());
        if !node.take_name(&link, options.lease).await.map_err(failed)? {
            return Err(OpenError::NameTaken { name: node.name() });
        }
        let signing = options.signing.unwrap_or_default();
        node.compare(&link, options.lease, &signing)
            .await
            .map_err(failed)?;
        let shared = Arc::new(Shared {
            link,
            node,
            lease: options.lease,
            works: options.works,
            signing,
            bounds: options.bounds,
            fetcher: Arc::new(Fetcher::new()),
            held: Held::default(),
            deliveries: Deliveries::new(options.bounds.delivery_lanes, options.works),
            locks: Locks::default(),
            secrets: Secrets::default(),
            memory: Memory::default(),
            workers: Workers::default(),
            watching: Notify::new(),
            listening: Notify::new(),
            metrics,
        });
        let (made, making) = unbounded_channel();
        let mut tasks = JoinSet::new();
        tasks.spawn(lease::keep(Arc::clone(&shared)));
        tasks.spawn(lease::reap(Arc::clone(&shared)));
        tasks.spawn(news::run(Arc::clone(&shared)));
        tasks.spawn(fetch::run(Arc::clone(&shared)));
        tasks.spawn(outbox::run(Arc::clone(&shared)));
        tasks.spawn(progress::run(Arc::clone(&shared), making));
        Ok(Self {
            shared,
            made,
            tasks: Mutex::new(tasks),
        })
    }
}

fn read(path: &Path) -> Result<Vec<u8>, OpenError> {
    std::fs::read(path).map_err(|source| OpenError::Authorities {
        path: path.to_owned(),
        source,
    })
}
