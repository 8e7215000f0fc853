//! Images in S3 buckets.

use super::body;
use super::deadline::Deadlines;
use super::error::Fault;
use super::fetch::Fetch;
use super::{Image, body::Received};
use crate::address::AllowedBucket;
use crate::redacted::RedactedUrl;
use crate::s3::{S3, S3Error};
use futures_util::StreamExt;
use object_store::aws::AmazonS3;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::{Error, GetOptions, GetResult, ObjectStore};
use reqwest::header::{ETAG, HeaderMap, HeaderValue};
use std::collections::HashMap;
use std::error::Error as _;
use std::sync::Arc;

/// The buckets that images may come from.
#[derive(Debug, Clone, Default)]
pub(crate) struct Buckets(Arc<HashMap<String, AmazonS3>>);

impl Buckets {
    /// Those that the setting names; nothing is connected to yet.
    pub(crate) fn open(s3: &S3, allowed: &[AllowedBucket]) -> Result<Self, S3Error> {
        let mut buckets = HashMap::new();
        for allowed in allowed {
            let bucket = allowed.bucket();
            buckets.insert(bucket.to_owned(), s3.images(bucket)?);
        }
        Ok(Self(Arc::new(buckets)))
    }
}

impl Fetch<'_> {
    /// Loads an object, unless a kept one is still the same.
    pub(super) async fn object(
        &self,
        url: &RedactedUrl,
        deadlines: &mut Deadlines,
    ) -> Result<Image, Fault> {
        // Once more: the settings may have changed since the job was accepted.
        let object = self.outbound.policy().object(url.reveal());
        let object = object.map_err(Fault::ObjectRefused)?;
        let Some(bucket) = self.buckets.0.get(&object.bucket) else {
            return Err(Fault::Object("its bucket is not open".to_owned()));
        };
        let kept = self.cache.get(url.reveal());
        let options = GetOptions {
            if_none_match: kept.as_ref().and_then(|kept| kept.etag()),
            ..GetOptions::default()
        };
        let answer = deadlines.head(bucket.get_opts(&object.key, options)).await;
        match (answer.map_err(Fault::Late)?, kept) {
            (Ok(found), _) => self.take(url, found, deadlines).await,
            (Err(Error::NotModified { .. }), Some(kept)) => self.reuse(kept.image, deadlines).await,
            (Err(error), _) => Err(fault(&error)),
        }
    }

    async fn take(
        &self,
        url: &RedactedUrl,
        found: GetResult,
        deadlines: &mut Deadlines,
    ) -> Result<Image, Fault> {
        let (size, headers) = (found.meta.size, validators(found.meta.e_tag.as_deref()));
        let chunks = found
            .into_stream()
            .map(|chunk| chunk.map_err(|e| fault(&e)));
        let received = body::receive(chunks, Some(size), self.limit, self.memory, deadlines);
        let (image, memory): (Received, _) = received.await?;
        self.cache.keep(url.reveal(), &headers, &image);
        Ok(Image::new(image, memory))
    }
}

/// What the cache needs of the headers.
fn validators(etag: Option<&str>) -> HeaderMap {
    let etag = etag.and_then(|etag| HeaderValue::from_str(etag).ok());
    etag.map(|etag| (ETAG, etag)).into_iter().collect()
}

/// What an error means, in the words for HTTP servers, since S3 is one.
fn fault(error: &Error) -> Fault {
    let status = |status| Fault::Status {
        status,
        retry_after: None,
    };
    match error {
        Error::NotFound { .. } => return status(404),
        Error::PermissionDenied { .. } => return status(403),
        Error::Unauthenticated { .. } => return status(401),
        _ => {}
    }
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            let cause = innermost(error);
            return match error.kind() {
                // Nothing but connecting has a time limit of the client's.
                HttpErrorKind::Connect | HttpErrorKind::Timeout => Fault::Connect(cause),
                HttpErrorKind::Decode => Fault::Malformed(cause),
                _ => Fault::Broken(cause),
            };
        }
        source = error.source();
    }
    Fault::Object(innermost(error))
}

/// The last error in the chain says what is wrong; the first where, which is no client's business.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}
