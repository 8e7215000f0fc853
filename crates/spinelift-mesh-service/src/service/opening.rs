//! What the settings ask for, opened.

use super::StartError;
use crate::address::{Outbound, OutboundLimits};
use crate::auth::UrlSigner;
use crate::engine::{JobEngine, Owner};
use crate::memory::{BudgetTooSmall, MemoryBudget};
use crate::result_url::LONGEST_PRESIGNED;
use crate::s3::{S3, S3Error};
use crate::settings::{JobBackend, ResultUrlKind, Settings, StorageBackend};
use crate::source::{Buckets, SourceLimits};
use crate::storage::{OpenStorageError, Storage};
use sha2::{Digest, Sha256};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

pub(super) fn check_fit(settings: &Settings) -> Result<(), StartError> {
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
pub(super) fn others_may_write(settings: &Settings) -> Duration {
    match settings.job_backend {
        JobBackend::Embedded => Duration::ZERO,
        JobBackend::Redis => Duration::from_secs(60 * 60),
    }
}

/// What a service on a private machine can do without, and one that others reach cannot.
pub(super) fn warn_of_exposure(settings: &Settings) {
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
pub(super) async fn url_signer(
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
pub(super) fn open_s3(settings: &Settings, outbound: &Outbound) -> Result<Option<S3>, StartError> {
    let stores = settings.storage_backend == StorageBackend::S3;
    let is_used = stores || !settings.allowed_s3_buckets.is_empty();
    Ok(match is_used {
        true => Some(S3::new(settings, outbound)?),
        false => None,
    })
}

pub(super) async fn open_storage(
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

pub(super) fn open_buckets(settings: &Settings, s3: Option<&S3>) -> Result<Buckets, S3Error> {
    match s3 {
        Some(s3) => Buckets::open(s3, &settings.allowed_s3_buckets),
        None => Ok(Buckets::default()),
    }
}

pub(super) async fn listen(settings: &Settings) -> Result<(TcpListener, SocketAddr), StartError> {
    let address = SocketAddr::new(settings.host, settings.port);
    let failed = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local = listener.local_addr().map_err(failed)?;
    Ok((listener, local))
}

pub(super) fn outbound_limits(settings: &Settings) -> OutboundLimits {
    OutboundLimits {
        dns_servers: settings.dns_servers.clone(),
        dns_timeout: settings.dns_timeout,
        connect_timeout: settings.image_connect_timeout,
    }
}

pub(super) fn source_limits(settings: &Settings) -> SourceLimits {
    SourceLimits {
        bytes: settings.max_image_bytes.get(),
        first_byte: settings.image_first_byte_timeout,
        download: settings.image_timeout,
        all_tries: settings.image_total_timeout,
        tries: u32::try_from(settings.image_tries.get()).unwrap_or(u32::MAX),
        cache: settings.source_cache_size,
    }
}

pub(super) fn memory_budget(settings: &Settings) -> Result<MemoryBudget, BudgetTooSmall> {
    let image = u64::try_from(settings.max_image_bytes.get()).unwrap_or(u64::MAX);
    MemoryBudget::new(settings.memory_budget, image)
}
