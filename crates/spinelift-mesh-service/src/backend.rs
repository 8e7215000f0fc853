//! The engine that the settings ask for, opened.

use crate::engine::redis::{self, RedisEngine};
use crate::engine::sqlite::{self, SqliteEngine};
use crate::engine::{Bounds, JobEngine, Observed};
use crate::metrics::Metrics;
use crate::settings::{JobBackend, Role, Settings, StorageBackend};
use crate::trace::Traces;
use sha2::{Digest, Sha256};
use std::io;
use std::sync::Arc;

/// Most deliveries that are made to one receiver at a time.
const DELIVERY_LANES: usize = 16;

/// Why the jobs cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenBackendError {
    /// The database of the embedded engine.
    #[error(transparent)]
    Embedded(#[from] sqlite::OpenError),
    /// Redis.
    #[error(transparent)]
    Redis(#[from] redis::OpenError),
    /// A role that makes sense only where there are other processes.
    #[error(
        "ROLE={role} needs JOB_BACKEND=redis: jobs that are kept in a file are known to this \
         process alone"
    )]
    AloneInRole {
        /// The role.
        role: &'static str,
    },
}

/// Opens the engine.
pub(crate) async fn open(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    traces: &Arc<Traces>,
) -> Result<Arc<dyn JobEngine>, OpenBackendError> {
    match settings.job_backend {
        JobBackend::Embedded => {
            let engine = embedded(settings, metrics).await?;
            Ok(observed(engine, metrics, traces))
        }
        JobBackend::Redis => {
            let engine = in_redis(settings, metrics).await?;
            Ok(observed(engine, metrics, traces))
        }
    }
}

fn observed<E: JobEngine>(
    engine: E,
    metrics: &Arc<Metrics>,
    traces: &Arc<Traces>,
) -> Arc<dyn JobEngine> {
    Arc::new(Observed::new(
        engine,
        Arc::clone(metrics),
        Arc::clone(traces),
    ))
}

async fn embedded(
    settings: &Settings,
    metrics: &Metrics,
) -> Result<SqliteEngine, OpenBackendError> {
    match settings.role {
        Role::All => {}
        Role::Api => return Err(OpenBackendError::AloneInRole { role: "api" }),
        Role::Worker => return Err(OpenBackendError::AloneInRole { role: "worker" }),
    }
    let path = settings.database_path.clone();
    let bounds = bounds(settings);
    let opening = tokio::task::spawn_blocking(move || SqliteEngine::open(&path, bounds)).await;
    let thread = |source| sqlite::OpenError::Thread { source };
    let opened = opening.map_err(io::Error::other).map_err(thread)??;
    let exhausted = metrics.jobs.failed.of("ATTEMPTS_EXHAUSTED");
    exhausted.increment(opened.exhausted as u64);
    tracing::info!(
        resumed = opened.resumed,
        exhausted = opened.exhausted,
        "opened the job database"
    );
    Ok(opened.engine)
}

async fn in_redis(settings: &Settings, metrics: &Metrics) -> Result<RedisEngine, OpenBackendError> {
    let options = redis::Options {
        url: settings.redis_url.clone(),
        authorities: settings.redis_ca_file.clone(),
        namespace: settings.redis_namespace.clone(),
        node: settings.node_name.clone(),
        lease: settings.job_lease,
        works: settings.role != Role::Api,
        signing: signing(settings),
        bounds: bounds(settings),
    };
    let engine = RedisEngine::open_counting(options, metrics.redis.clone()).await?;
    tracing::info!(
        url = %settings.redis_url, namespace = settings.redis_namespace, node = engine.node(),
        role = ?settings.role,
        "connected to Redis"
    );
    if settings.storage_backend == StorageBackend::Local {
        tracing::warn!(
            path = %settings.storage_path.display(),
            "all processes that share the jobs must share this folder too (STORAGE_PATH): results \
             and uploaded images are kept in it"
        );
    }
    Ok(engine)
}

/// What result URLs are signed with, as a name that tells one key from another and none of them.
fn signing(settings: &Settings) -> Option<String> {
    if settings.api_keys.is_empty() {
        return None;
    }
    let Some(key) = &settings.url_signing_key else {
        return Some("the one in Redis".to_owned());
    };
    let mut hash = Sha256::new();
    // Services with other namespaces that have the same key are not to be known by it.
    hash.update(format!("URL_SIGNING_KEY of {}: ", settings.redis_namespace));
    hash.update(key.reveal());
    let digest = hash.finalize();
    Some(
        digest[..8]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect(),
    )
}

fn bounds(settings: &Settings) -> Bounds {
    Bounds {
        queue_length: settings.max_queue_length.get(),
        jobs_per_client: settings.max_jobs_per_client.get(),
        lanes: settings.max_downloads_per_host.get(),
        client_lanes: client_lanes(settings.max_concurrent_downloads.get()),
        delivery_lanes: DELIVERY_LANES,
        attempts: u32::try_from(settings.max_attempts.get()).unwrap_or(u32::MAX),
    }
}

/// Most of the workers that one client keeps loading from servers: if those are slow, a quarter of
/// the workers is left for the jobs of others, and for uploads, which load from no server.
fn client_lanes(workers: usize) -> usize {
    (workers - workers.div_ceil(4)).max(1)
}
