//! The running service: its parts put together, and taken down in order.

use crate::address::{AddressPolicy, Outbound, OutboundError, OutboundLimits};
use crate::api::{Api, Exports, HeldAnswers, UploadSpace};
use crate::auth::UrlSigner;
use crate::backend::{self, OpenBackendError};
use crate::callback::{Callbacks, Dispatcher, Retries};
use crate::engine::{EngineError, JobEngine, Owner};
use crate::health::{Activity, Readiness};
use crate::memory::{BudgetTooSmall, MemoryBudget};
use crate::metrics::Metrics;
use crate::result_url::{LONGEST_PRESIGNED, ResultUrls};
use crate::router::router;
use crate::s3::{S3, S3Error};
use crate::server::Server;
use crate::settings::{JobBackend, ResultUrlKind, Role, Settings, StorageBackend};
use crate::source::{Buckets, SourceLimits, Sources};
use crate::storage::{OpenStorageError, Storage, remove_leftovers};
use crate::trace::Traces;
use crate::worker::{CpuSlots, Flights, Pace, Runner, Sweeper, Uploads, Workers};
use sha2::{Digest, Sha256};
use spinelift_mesh::Limits;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why the service cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// A setting asks for something that this version does not have.
    #[error("{name}={value} is not available in this version; use {name}={instead}")]
    NotAvailable {
        /// The setting.
        name: &'static str,
        /// Its value.
        value: &'static str,
        /// A value that works.
        instead: &'static str,
    },
    /// Settings do not fit together.
    #[error("{0}")]
    Conflict(&'static str),
    /// The S3 server cannot be used with these settings.
    #[error(transparent)]
    S3(#[from] S3Error),
    /// The jobs cannot be opened.
    #[error(transparent)]
    Jobs(#[from] OpenBackendError),
    /// The jobs cannot be written.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The result storage cannot be used.
    #[error(transparent)]
    Storage(#[from] OpenStorageError),
    /// The HTTP client cannot be made.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The memory is not enough for one image.
    #[error(transparent)]
    Memory(#[from] BudgetTooSmall),
    /// The address cannot be listened on.
    #[error("cannot listen on {address} (HOST, PORT): {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
}

/// Why the service stopped serving.
#[derive(Debug, thiserror::Error)]
#[error("the service cannot go on serving: {0}")]
pub struct ServeError(#[from] io::Error);

/// The mesh service, started: it listens and its workers run. [`serve`](Self::serve) answers.
pub struct Service {
    address: SocketAddr,
    server: Server,
    engine: Arc<dyn JobEngine>,
    workers: Workers,
    dispatching: JoinSet<()>,
    sweeping: JoinSet<()>,
    draining: CancellationToken,
    measuring: JoinSet<()>,
    readiness: Arc<Readiness>,
    drain_delay: Duration,
    drain_timeout: Duration,
}

impl Service {
    /// Opens what is to be opened, listens, resumes jobs that were interrupted and starts the
    /// workers.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        check_available(&settings)?;
        let memory = memory_budget(&settings)?;
        let metrics = Metrics::new(&settings);
        let traces = Arc::new(Traces::default());
        let outbound = Outbound::new(
            AddressPolicy::new(settings.allowed_private_hosts.clone())
                .with_buckets(settings.allowed_s3_buckets.clone())
                .counting(metrics.sources.blocked.clone()),
            &outbound_limits(&settings),
        )?;
        let s3 = open_s3(&settings, &outbound)?;
        // Listening comes before the engine, which gives up exhausted jobs as it opens: a start
        // that failed after that would never tell their receivers.
        let (listener, address) = listen(&settings).await?;
        let start = SystemTime::now();
        let engine = backend::open(&settings, &metrics, &traces).await?;
        let owner = Owner::of(engine.as_ref()).await?;
        let storage = open_storage(&settings, s3.as_ref(), owner.clone()).await?;
        let uploads = Arc::new(Uploads::new(Arc::clone(&engine), storage.clone()));

        let callbacks = Callbacks::new(
            outbound.clone(),
            settings.webhook_secrets.clone(),
            settings.callback_timeout,
            metrics.callbacks.clone(),
            Arc::clone(&traces),
        );
        let result_urls = ResultUrls::new(
            settings.public_url.as_deref(),
            &settings.api_prefix,
            address,
            url_signer(&settings, engine.as_ref()).await?,
        );
        let result_urls = match settings.result_urls {
            ResultUrlKind::Service => result_urls,
            ResultUrlKind::Presigned => {
                result_urls.presigned(storage.clone(), settings.result_url_ttl)
            }
        };
        let pace = Arc::new(Pace::new(&settings));
        let activity = Arc::new(Activity::default());
        let sources = Sources::new(
            outbound.clone(),
            open_buckets(&settings, s3.as_ref())?,
            source_limits(&settings),
            memory.clone(),
        );
        let limits = Limits {
            max_image_dimension: settings.max_image_dimension,
            max_image_pixels: settings.max_image_pixels.get() as u64,
            max_decoder_memory: settings.max_decoder_memory.get(),
            max_mesh_vertices: settings.max_mesh_vertices.get(),
        };
        let exports = Exports::new(
            sources.clone(),
            memory.clone(),
            Arc::clone(&metrics),
            limits,
            &settings,
        );
        let runner = Arc::new(Runner {
            engine: Arc::clone(&engine),
            sources,
            memory: memory.clone(),
            storage: storage.clone(),
            uploads: Arc::clone(&uploads),
            callbacks: callbacks.clone(),
            cpu: CpuSlots::per_core(),
            slots: Semaphore::new(settings.max_concurrent_jobs.get()),
            flights: Flights::default(),
            caches: settings.result_cache_size > 0,
            limits,
            timeout: settings.job_timeout,
            pace: Arc::clone(&pace),
            metrics: Arc::clone(&metrics),
            activity: Arc::clone(&activity),
            traces,
        });
        let draining = CancellationToken::new();
        let readiness = Arc::new(Readiness::new(
            Arc::clone(&engine),
            storage.clone(),
            activity,
            &settings,
        ));
        let api = Api {
            engine: Arc::clone(&engine),
            storage: storage.clone(),
            outbound,
            result_urls: result_urls.clone(),
            pace,
            uploads: Arc::clone(&uploads),
            draining: draining.clone(),
            upload_space: Arc::new(UploadSpace::new(settings.max_upload_storage)),
            held: Arc::new(HeldAnswers::new(settings.max_connections.get())),
            max_request_size: settings.max_request_size.get(),
            max_json_size: settings.max_json_size.get(),
            memory,
            exports,
            max_image_bytes: settings.max_image_bytes.get(),
            max_batch_size: settings.max_batch_size.get(),
            request_timeout: settings.request_timeout,
            metrics: Arc::clone(&metrics),
            readiness: Arc::clone(&readiness),
        };
        let router = router(api, &settings);
        let server = Server::new(listener, router, &settings, Arc::clone(&metrics));
        let dispatcher = Dispatcher {
            engine: Arc::clone(&engine),
            callbacks,
            result_urls,
            retries: Retries {
                tries: settings.callback_tries.get(),
                backoff: settings.callback_backoff,
            },
        };
        let sweeper = Sweeper {
            engine: Arc::clone(&engine),
            storage,
            uploads,
            keep: settings.job_ttl,
            cache: settings.result_cache_size,
        };
        if settings.storage_backend == StorageBackend::Local {
            let storage_path = settings.storage_path.clone();
            let before = start - others_may_write(&settings);
            tokio::task::spawn_blocking(move || remove_leftovers(&storage_path, &owner, before));
        }
        tracing::info!(
            service = settings.service_name,
            version = env!("CARGO_PKG_VERSION"),
            %address,
            "started"
        );
        warn_of_exposure(&settings);
        let workers = match settings.role {
            Role::Api => 0,
            Role::All | Role::Worker => settings.max_concurrent_downloads.get(),
        };
        Ok(Self {
            address,
            server,
            workers: Workers::start(workers, &runner, &engine),
            dispatching: match settings.role {
                Role::Api => JoinSet::new(),
                Role::All | Role::Worker => spawn(dispatcher.run()),
            },
            sweeping: spawn(sweeper.run()),
            measuring: spawn(metrics.keep_small()),
            engine,
            draining,
            readiness,
            drain_delay: settings.drain_delay,
            drain_timeout: settings.drain_timeout,
        })
    }

    /// Where the service listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` completes, and as long as `DRAIN_DELAY` says while it is
    /// not ready any more. Then it accepts no more connections, gives
    /// requests, running jobs and callbacks until `DRAIN_TIMEOUT` to end, and leaves the rest of
    /// the jobs to the next start.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(
        self,
        shutdown: impl Future<Output = ()> + Send + 'static,
    ) -> Result<(), ServeError> {
        let Self {
            server,
            engine,
            mut workers,
            mut dispatching,
            sweeping,
            draining,
            measuring: _measuring,
            readiness,
            drain_delay,
            drain_timeout,
            ..
        } = self;
        let (stopping, stopped) = oneshot::channel();
        let mut server = tokio::spawn(server.run(async move {
            shutdown.await;
            readiness.drain();
            if !drain_delay.is_zero() {
                tracing::info!(
                    seconds = drain_delay.as_secs_f64(),
                    "not ready, to be shut down"
                );
                tokio::time::sleep(drain_delay).await;
            }
            // The receiver waits below.
            let _ = stopping.send(());
        }));
        // An error means that the server ended of itself, and dropped the sender.
        let _ = stopped.await;
        tracing::info!(drain_seconds = drain_timeout.as_secs_f64(), "shutting down");
        workers.stop();
        // Streams and held answers end, which the server would wait for otherwise.
        draining.cancel();
        drop(sweeping);
        let drain = async {
            workers.drained().await;
            engine.finish_due();
            while dispatching.join_next().await.is_some() {}
            (&mut server).await
        };
        let served = tokio::time::timeout(drain_timeout, drain).await;
        workers.abandon().await;
        drop(dispatching);
        server.abort();
        engine.close().await;
        tracing::info!("stopped");
        match served {
            // The server task panicked.
            Ok(Err(error)) => Err(io::Error::other(error).into()),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }
}

fn check_available(settings: &Settings) -> Result<(), StartError> {
    if settings.result_urls == ResultUrlKind::Presigned {
        if settings.storage_backend != StorageBackend::S3 {
            return Err(StartError::Conflict(
                "RESULT_URLS=presigned needs STORAGE_BACKEND=s3: there is nobody else to sign for",
            ));
        }
        if settings.result_url_ttl > LONGEST_PRESIGNED {
            return Err(StartError::Conflict(
                "RESULT_URLS=presigned needs a RESULT_URL_TTL of 604800 or less: S3 signs for \
                 seven days at the most",
            ));
        }
    }
    Ok(())
}

/// How long before this start another process may have begun to write a file that it is still
/// writing.
fn others_may_write(settings: &Settings) -> Duration {
    match settings.job_backend {
        JobBackend::Embedded => Duration::ZERO,
        JobBackend::Redis => Duration::from_secs(60 * 60),
    }
}

/// What a service on a private machine can do without, and one that others reach cannot.
fn warn_of_exposure(settings: &Settings) {
    if settings.host.is_loopback() {
        return;
    }
    if settings.api_keys.is_empty() {
        tracing::warn!(
            host = %settings.host,
            "everybody who reaches this address may use the service: set API_KEYS, or HOST to \
             127.0.0.1"
        );
    }
    if settings.public_url.is_none() {
        tracing::warn!(
            host = %settings.host,
            "result URLs name whatever host a request's Host header does: set PUBLIC_URL"
        );
    }
}

/// Result URLs are signed where clients need keys.
async fn url_signer(
    settings: &Settings,
    engine: &dyn JobEngine,
) -> Result<Option<UrlSigner>, StartError> {
    if settings.api_keys.is_empty() {
        return Ok(None);
    }
    let key = match &settings.url_signing_key {
        Some(secret) => Sha256::digest(secret.reveal()).into(),
        None => engine.secret("result-urls").await?,
    };
    Ok(Some(UrlSigner::new(key, settings.result_url_ttl)))
}

/// The S3 server, if anything is kept there or read from there.
fn open_s3(settings: &Settings, outbound: &Outbound) -> Result<Option<S3>, StartError> {
    let stores = settings.storage_backend == StorageBackend::S3;
    let is_used = stores || !settings.allowed_s3_buckets.is_empty();
    Ok(match is_used {
        true => Some(S3::new(settings, outbound)?),
        false => None,
    })
}

async fn open_storage(
    settings: &Settings,
    s3: Option<&S3>,
    owner: Owner,
) -> Result<Storage, OpenStorageError> {
    match (settings.storage_backend, s3) {
        (StorageBackend::S3, Some(s3)) => {
            let bucket = settings.s3_bucket.as_deref();
            let bucket = bucket.ok_or(OpenStorageError::NoBucket)?;
            Storage::s3(s3, bucket, &settings.s3_prefix, owner).await
        }
        _ => Storage::local(&settings.storage_path, owner),
    }
}

fn open_buckets(settings: &Settings, s3: Option<&S3>) -> Result<Buckets, S3Error> {
    match s3 {
        Some(s3) => Buckets::open(s3, &settings.allowed_s3_buckets),
        None => Ok(Buckets::default()),
    }
}

async fn listen(settings: &Settings) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = SocketAddr::new(settings.host, settings.port);
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

fn outbound_limits(settings: &Settings) -> OutboundLimits {
    OutboundLimits {
        dns_servers: settings.dns_servers.clone(),
        dns_timeout: settings.dns_timeout,
        connect_timeout: settings.image_connect_timeout,
    }
}

fn source_limits(settings: &Settings) -> SourceLimits {
    SourceLimits {
        bytes: settings.max_image_bytes.get(),
        first_byte: settings.image_first_byte_timeout,
        download: settings.image_timeout,
        all_tries: settings.image_total_timeout,
        tries: u32::try_from(settings.image_tries.get()).unwrap_or(u32::MAX),
        cache: settings.source_cache_size,
    }
}

fn memory_budget(settings: &Settings) -> Result<MemoryBudget, BudgetTooSmall> {
    let image = u64::try_from(settings.max_image_bytes.get()).unwrap_or(u64::MAX);
    MemoryBudget::new(settings.memory_budget, image)
}

/// Starts a task that ends when the set is dropped.
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    tasks
}
