//! The running service: its parts put together, and taken down in order.

mod error;
mod opening;

pub use error::{ServeError, StartError};

use crate::address::{AddressPolicy, Outbound};
use crate::api::{Api, Exports, HeldAnswers, UploadSpace};
use crate::backend;
use crate::callback::{Callbacks, Dispatcher, Retries};
use crate::engine::{JobEngine, Owner};
use crate::health::{Activity, Readiness};
use crate::metrics::Metrics;
use crate::result_url::ResultUrls;
use crate::router::router;
use crate::server::Server;
use crate::settings::{ResultUrlKind, Role, Settings, StorageBackend};
use crate::source::Sources;
use crate::storage::remove_leftovers;
use crate::trace::Traces;
use crate::worker::{CpuSlots, Flights, Pace, Runner, Sweeper, Uploads, Workers};
use opening::{
    check_fit, listen, memory_budget, open_buckets, open_s3, open_storage, others_may_write,
    outbound_limits, source_limits, url_signer, warn_of_exposure,
};
use spinelift_mesh::Limits;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

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
        check_fit(&settings)?;
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

/// Starts a task that ends when the set is dropped.
fn spawn(task: impl Future<Output = ()> + Send + 'static) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    tasks.spawn(task);
    tasks
}
