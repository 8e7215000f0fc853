//! Under which URL a result can be fetched.

use crate::auth::{SignatureError, UrlSigner, is_signed};
use crate::clock;
use crate::engine::ResultObject;
use crate::job::{Batch, Job, JobId};
use crate::storage::Storage;
use axum::http::header::HOST;
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri};
use chrono::{DateTime, Utc};
use std::net::{Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

/// Longest host name there is, in bytes.
const MAX_HOST: usize = 253;

/// What a cache may do with a result. It never changes, but it may be removed, and another have its
/// place: a cache has to ask, and is told by the tag that what it has is still right.
pub(crate) const CACHE_CONTROL: &str = "private, no-cache";

/// Longest time that S3 lets a presigned URL be valid.
pub(crate) const LONGEST_PRESIGNED: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// What a signed URL, which took the place of a key, is good for.
#[derive(Debug, Clone)]
pub(crate) struct Signed {
    /// That of the job or batch.
    pub(crate) generation: u64,
    /// In seconds since 1970.
    expires: u64,
}

/// Makes the URLs of results.
#[derive(Clone)]
pub(crate) struct ResultUrls {
    public: Option<Arc<str>>,
    prefix: Arc<str>,
    fallback: Arc<str>,
    signer: Option<UrlSigner>,
    presigned: Option<(Storage, Duration)>,
}

impl ResultUrls {
    /// With the settings `PUBLIC_URL` and `API_PREFIX`; `local` is where the service listens.
    /// With a signer the URLs are signed, so that they can be fetched without a key.
    pub(crate) fn new(
        public: Option<&str>,
        prefix: &str,
        local: SocketAddr,
        signer: Option<UrlSigner>,
    ) -> Self {
        Self {
            public: public.map(|url| url.trim_end_matches('/').into()),
            prefix: prefix.into(),
            fallback: format!("http://{local}").into(),
            signer,
            presigned: None,
        }
    }

    /// The same, with URLs that lead to the objects themselves for a time.
    pub(crate) fn presigned(self, storage: Storage, valid: Duration) -> Self {
        Self {
            presigned: Some((storage, valid)),
            ..self
        }
    }

    /// The base under which a client reached us: what `PUBLIC_URL` says, or its `Host` header.
    /// The header is the client's word and ends up in URLs, so it must be a host and no more.
    pub(crate) fn base(&self, headers: &HeaderMap) -> String {
        if let Some(public) = &self.public {
            return public.to_string();
        }
        let authority = headers
            .get(HOST)
            .and_then(|value| Authority::try_from(value.as_bytes()).ok())
            .filter(is_host_and_port);
        authority.map_or_else(
            || self.fallback.to_string(),
            |authority| format!("http://{authority}"),
        )
    }

    /// The URL of a job's result, as its receiver can use it.
    pub(crate) async fn of(&self, job: &Job) -> String {
        let base = self.public.as_deref().unwrap_or(&job.base_url);
        self.of_job_under(base, job).await
    }

    /// The URL of a batch's results, as its receiver can use it.
    pub(crate) fn of_batch(&self, batch: &Batch) -> String {
        self.of_batch_under(self.public.as_deref().unwrap_or(&batch.base_url), batch)
    }

    /// The URL of a job's result below a base.
    pub(crate) async fn of_job_under(&self, base: &str, job: &Job) -> String {
        self.of_job_until(base, job, None).await
    }

    /// The same, good until the time at which the URL expires that led to it, if that was signed.
    pub(crate) async fn of_job_until(
        &self,
        base: &str,
        job: &Job,
        signed: Option<&Signed>,
    ) -> String {
        let until = signed.map(|signed| signed.expires);
        let presigned = match &job.result {
            Some(object) => self.presign(object, until).await,
            None => None,
        };
        presigned.unwrap_or_else(|| self.under(base, &job.id, job.generation, until))
    }

    /// Without credentials, at the moment, the service is still there to be asked.
    async fn presign(&self, object: &ResultObject, until: Option<u64>) -> Option<String> {
        let (storage, valid) = self.presigned.as_ref()?;
        let left = until.map(|until| until.saturating_sub(seconds(clock::now())));
        let valid = left.map_or(*valid, |left| {
            (*valid).min(Duration::from_secs(left.max(1)))
        });
        storage
            .presigned(object, valid)
            .await?
            .inspect_err(|error| tracing::warn!(%error, "a result URL could not be presigned"))
            .ok()
    }

    /// The URL of a batch's results below a base.
    pub(crate) fn of_batch_under(&self, base: &str, batch: &Batch) -> String {
        self.under(base, &batch.id, batch.generation, None)
    }

    /// Ids need no escaping.
    fn under(&self, base: &str, id: &JobId, generation: u64, until: Option<u64>) -> String {
        // What `base` has of a path is cut off by a proxy, so it is not signed.
        let path = format!("{}/mesh/{id}/result", self.prefix);
        let Some(signer) = &self.signer else {
            return format!("{base}{path}");
        };
        let expires = until.unwrap_or_else(|| signer.expiry(clock::now().into()));
        format!("{base}{path}?{}", signer.query(&path, generation, expires))
    }

    /// The id of the job or batch in a signed URL; `None` if it is not signed at all.
    pub(crate) fn signed_id<'a>(&self, uri: &'a Uri) -> Option<&'a str> {
        let is_ours = self.signer.is_some() && uri.query().is_some_and(is_signed);
        let path = uri.path().strip_prefix(&*self.prefix).filter(|_| is_ours)?;
        path.strip_prefix("/mesh/")?.strip_suffix("/result")
    }

    /// Checks a signed URL of the job or batch that has its path now.
    pub(crate) fn verify(&self, uri: &Uri, generation: u64) -> Result<Signed, SignatureError> {
        let signed = self.signer.as_ref().zip(uri.query());
        let (signer, query) = signed.ok_or(SignatureError::Invalid)?;
        let expires = signer.verify(uri.path(), generation, query, clock::now().into())?;
        Ok(Signed {
            generation,
            expires,
        })
    }
}

/// Seconds since 1970.
fn seconds(time: DateTime<Utc>) -> u64 {
    time.timestamp().try_into().unwrap_or(0)
}

/// An [`Authority`] may be more than a host and a port, and its host more than a name.
fn is_host_and_port(authority: &Authority) -> bool {
    let host = authority.host();
    let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let is_host = match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => (1..=MAX_HOST).contains(&host.len()) && host.bytes().all(in_name),
    };
    // A user name would stand before the host.
    let port = authority.as_str().strip_prefix(host);
    is_host && port.is_some_and(|port| port.is_empty() || authority.port_u16().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::http::HeaderValue;

    fn base(public: Option<&str>, host: &'static [u8]) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_bytes(host).expect("a header value"));
        ResultUrls::new(public, "/api/v1", ([127, 0, 0, 1], 8000).into(), None).base(&headers)
    }

    #[test]
    fn the_host_header_is_used_only_if_it_is_a_host() {
        assert_eq!(base(None, b"mesh.example:81"), "http://mesh.example:81");
        assert_eq!(base(None, b"[::1]:81"), "http://[::1]:81");
        let long = b"x".repeat(254).leak();
        for bad in [
            b"a/b".as_slice(),
            b"u@evil",
            b"u@evil:80",
            b"a b",
            b"",
            b"\xff",
            b"a?b",
            b"a,b",
            b"*",
            b"a:",
            b"a:b",
            b"a:99999",
            b"[::1",
            b"[v1.x]",
            long,
        ] {
            assert_eq!(base(None, bad), "http://127.0.0.1:8000", "{bad:?}");
        }
        assert_eq!(
            base(Some("https://m.example/x/"), b"evil"),
            "https://m.example/x"
        );
    }
}
