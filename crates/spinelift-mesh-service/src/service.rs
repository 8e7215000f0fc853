//! The running service: its parts put together, and taken down in order.

use crate::address::{AddressPolicy, Outbound, OutboundError, OutboundLimits};
use crate::api::Api;
use crate::callback::{Callbacks, Final};
use crate::engine::JobEngine;
use crate::engine::sqlite::{Bounds, OpenError, Opened, SqliteEngine};
use crate::job::{Job, JobState};
use crate::memory::{BudgetTooSmall, MemoryBudget};
use crate::result_url::ResultUrls;
use crate::router::router;
use crate::server::Server;
use crate::settings::{JobBackend, Settings, StorageBackend};
use crate::source::{SourceLimits, Sources};
use crate::storage::{OpenStorageError, ResultStore, remove_leftovers};
use crate::worker::{CpuSlots, Pace, Runner, Workers};
use spinelift_mesh::Limits;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

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
    /// The job database cannot be opened.
    #[error(transparent)]
    Jobs(#[from] OpenError),
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
    callbacks: Callbacks,
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
        let outbound = Outbound::new(
            AddressPolicy::new(settings.allowed_private_hosts.clone()),
            &outbound_limits(&settings),
        )?;
        let results = ResultStore::local(&settings.storage_path)?;
        // Listening comes before the engine, which gives up exhausted jobs as it opens: a start
        // that failed after that would never tell their receivers.
        let (listener, address) = listen(&settings).await?;
        let start = SystemTime::now();
        let opened = open_engine(&settings).await?;
        let engine: Arc<dyn JobEngine> = Arc::new(opened.engine);

        let callbacks = Callbacks::new(outbound.clone());
        let result_urls = ResultUrls::new(
            settings.public_url.as_deref(),
            &settings.api_prefix,
            address,
        );
        let workers = settings.max_concurrent_jobs.get();
        let pace = Arc::new(Pace::new(workers));
        let runner = Arc::new(Runner {
            engine: Arc::clone(&engine),
            sources: Sources::new(outbound.clone(), source_limits(&settings), memory),
            results: results.clone(),
            callbacks: callbacks.clone(),
            result_urls: result_urls.clone(),
            cpu: CpuSlots::per_core(),
            limits: Limits {
                max_image_dimension: settings.max_image_dimension,
                max_mesh_vertices: settings.max_mesh_vertices.get(),
                ..Limits::DEFAULT
            },
            timeout: settings.job_timeout,
            pace: Arc::clone(&pace),
        });
        let api = Api {
            engine: Arc::clone(&engine),
            results,
            outbound,
            result_urls,
            pace,
            max_request_size: settings.max_request_size.get(),
        };
        let server = Server::new(listener, router(api, &settings), &settings);
        tell_of_exhausted(&callbacks, &opened.exhausted);
        let storage_path = settings.storage_path.clone();
        tokio::task::spawn_blocking(move || remove_leftovers(&storage_path, start));
        tracing::info!(
            service = settings.service_name,
            version = env!("CARGO_PKG_VERSION"),
            %address,
            resumed = opened.resumed,
            exhausted = opened.exhausted.len(),
            "started"
        );
        Ok(Self {
            address,
            server,
            workers: Workers::start(workers, &runner, &engine),
            engine,
            callbacks,
            drain_timeout: settings.drain_timeout,
        })
    }

    /// Where the service listens.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Answers requests until `shutdown` completes. Then it accepts no more connections, gives
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
            callbacks,
            drain_timeout,
            ..
        } = self;
        let (stopping, stopped) = oneshot::channel();
        let mut server = tokio::spawn(server.run(async move {
            shutdown.await;
            // The receiver waits below.
            let _ = stopping.send(());
        }));
        // An error means that the server ended of itself, and dropped the sender.
        let _ = stopped.await;
        tracing::info!(drain_seconds = drain_timeout.as_secs_f64(), "shutting down");
        workers.stop();
        let drain = async {
            workers.drained().await;
            callbacks.idle().await;
            (&mut server).await
        };
        let served = tokio::time::timeout(drain_timeout, drain).await;
        workers.abandon().await;
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
    if settings.storage_backend == StorageBackend::S3 {
        return Err(StartError::NotAvailable {
            name: "STORAGE_BACKEND",
            value: "s3",
            instead: "local",
        });
    }
    if settings.job_backend == JobBackend::Redis {
        return Err(StartError::NotAvailable {
            name: "JOB_BACKEND",
            value: "redis",
            instead: "embedded",
        });
    }
    Ok(())
}

async fn open_engine(settings: &Settings) -> Result<Opened, StartError> {
    let path = settings.database_path.clone();
    let bounds = Bounds {
        queue_length: settings.max_queue_length.get(),
        attempts: u32::try_from(settings.max_attempts.get()).unwrap_or(u32::MAX),
    };
    let opening = tokio::task::spawn_blocking(move || SqliteEngine::open(&path, bounds)).await;
    match opening {
        Ok(opened) => Ok(opened?),
        Err(error) => Err(OpenError::Thread {
            source: io::Error::other(error),
        }
        .into()),
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

/// Jobs that failed because the process died too often never reach a worker: their receivers
/// hear of it here.
fn tell_of_exhausted(callbacks: &Callbacks, jobs: &[Job]) {
    for job in jobs {
        if let JobState::Failed(error) = &job.state {
            let error = error.clone();
            callbacks
                .open(job)
                .end(&job.progress, Final::Failed { error });
        }
    }
}
