//! A bucket of an S3 server as the storage. Many nodes may share one.

use super::draft::Drafts;
use super::{Home, OpenStorageError, Storage, StorageError};
use crate::engine::{Owner, ResultObject};
use crate::result_url::CACHE_CONTROL;
use crate::s3::S3;
use axum::body::Bytes;
use axum::http::Method;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use object_store::aws::AmazonS3;
use object_store::client::{HttpError, HttpErrorKind};
use object_store::path::Path as Key;
use object_store::signer::Signer;
use object_store::{Attribute, Attributes, Error, ObjectStoreExt};
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

/// Where the nodes leave the objects with which they find out whether the bucket can be used.
const CHECKS: &str = "checks";

/// A check of a node that died meanwhile is removed after this.
const CHECK_LEFT: TimeDelta = TimeDelta::hours(1);

/// Leftovers are looked for this often at the most: each time all keys are listed.
const SWEEP: TimeDelta = TimeDelta::hours(24);

/// What is particular to a bucket.
pub(super) struct Bucket {
    /// What all keys begin with: nothing, or a text with `/` at its end.
    prefix: String,
    /// As clients reach it.
    public: AmazonS3,
    /// Tells this process from other nodes with the same jobs.
    node: u64,
}

impl Bucket {
    pub(super) fn key(&self, name: &str) -> Key {
        Key::from(format!("{}{name}", self.prefix))
    }

    pub(super) fn check_key(&self, owner: &Owner) -> Key {
        self.key(&format!("{CHECKS}/{owner}/{:016x}", self.node))
    }
}

/// What clients see of a result that they fetch from the bucket, as from the service.
pub(super) fn result_attributes() -> Attributes {
    Attributes::from_iter([
        (Attribute::ContentType, "application/json"),
        (Attribute::CacheControl, CACHE_CONTROL),
    ])
}

impl Storage {
    /// Objects in a bucket, which is tried out first.
    pub(crate) async fn s3(
        s3: &S3,
        bucket: &str,
        prefix: &str,
        owner: Owner,
    ) -> Result<Self, OpenStorageError> {
        let storage = Self {
            store: Arc::new(s3.store(bucket)?),
            owner,
            drafts: Drafts::default(),
            home: Home::Bucket(Arc::new(Bucket {
                prefix: prefix.to_owned(),
                public: s3.public(bucket)?,
                node: fastrand::u64(..),
            })),
        };
        match storage.try_out().await {
            Ok(()) => Ok(storage),
            Err(error) => Err(OpenStorageError::Bucket {
                bucket: bucket.to_owned(),
                reason: match error {
                    StorageError::Store(error) => diagnosis(&error),
                    StorageError::OtherFolder => error.to_string(),
                },
            }),
        }
    }

    /// Whether objects can be listed, written, read and removed. Without the right to list, S3 does
    /// not tell those that are missing from those that are forbidden.
    async fn try_out(&self) -> Result<(), StorageError> {
        let own = self.key(&format!("{CHECKS}/{}", self.owner));
        let first = self.store.list(Some(&own)).next().await;
        first.transpose().map_err(StorageError::Store)?;
        self.check().await
    }

    /// A URL under which anybody can fetch a result for a time, if the storage can make one.
    pub(crate) async fn presigned(
        &self,
        object: &ResultObject,
        valid: Duration,
    ) -> Option<Result<String, StorageError>> {
        let key = self.result_key(object);
        let public = match &self.home {
            Home::Folder(_) => return None,
            Home::Bucket(bucket) => &bucket.public,
        };
        let signed = public.signed_url(Method::GET, &key, valid).await;
        Some(signed.map(String::from).map_err(StorageError::Store))
    }

    /// One node a day looks for leftovers, among those with the same jobs; two that begin at the
    /// same moment only do it twice.
    pub(super) async fn begin_sweep_of(
        &self,
        bucket: &Bucket,
    ) -> Result<Option<DateTime<Utc>>, StorageError> {
        let marker = self.key(&format!("sweep-{}", self.owner));
        match self.store.head(&marker).await {
            Ok(last) if Utc::now() - last.last_modified < SWEEP => return Ok(None),
            Ok(_) | Err(Error::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        self.put(&marker, Bytes::new(), Attributes::new()).await?;
        let written = self
            .store
            .head(&marker)
            .await
            .map_err(StorageError::Store)?;
        self.remove_checks(bucket, written.last_modified - CHECK_LEFT)
            .await;
        // The time of the server, as the objects have it.
        Ok(Some(written.last_modified))
    }

    async fn remove_checks(&self, bucket: &Bucket, before: DateTime<Utc>) {
        let own = bucket.key(&format!("{CHECKS}/{}", self.owner));
        let mut all = self.store.list(Some(&own));
        while let Some(found) = all.next().await {
            if let Ok(found) = found
                && found.last_modified < before
            {
                self.remove(&found.location).await;
            }
        }
    }
}

/// Whether it is the bucket that is missing, and not an object in it.
pub(super) fn is_no_bucket(error: &Error) -> bool {
    said(error, &["NoSuchBucket"])
}

/// Whether the server used one of these words in its answer.
fn said(error: &Error, words: &[&str]) -> bool {
    let text = error.to_string();
    words.iter().any(|word| text.contains(word))
}

/// Where instances are asked for credentials, the last place where any are looked for.
const METADATA: &[&str] = &["/latest/api/token", "/latest/meta-data"];

/// What servers say of credentials that they do not know, or no more.
const CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "SignatureDoesNotMatch",
];

/// What they say of a bucket that is elsewhere.
const REGION: &[&str] = &[
    "AuthorizationHeaderMalformed",
    "IllegalLocationConstraint",
    "PermanentRedirect",
    "incorrectly configured region",
];

const DENIED: &[&str] = &["AccessDenied", "401 Unauthorized", "403 Forbidden"];

/// What is wrong, and which setting may be. The text of the store comes last: it says all, and at
/// length.
fn diagnosis(error: &Error) -> String {
    let cause = if said(error, METADATA) {
        "there are no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, unless this is \
         where AWS gives them"
    } else if is_no_bucket(error) {
        "there is no such bucket (S3_BUCKET)"
    } else if said(error, CREDENTIALS) {
        "the server does not accept the credentials (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, \
         AWS_SESSION_TOKEN)"
    } else if said(error, &["RequestTimeTooSkewed"]) {
        "the clocks of this machine and of the server differ too much"
    } else if said(error, REGION) {
        "the bucket is in another region (S3_REGION)"
    } else if said(error, DENIED) {
        "access is denied; the credentials need s3:GetObject, s3:PutObject, s3:DeleteObject and \
         s3:ListBucket"
    } else {
        match transport(error) {
            Some(HttpErrorKind::Connect) => "no connection comes about (S3_ENDPOINT)",
            Some(HttpErrorKind::Timeout) => "the server does not answer in time (S3_TIMEOUT)",
            _ => "the server cannot do it (S3_ENDPOINT)",
        }
    };
    // The store says where it was and how often it tried, but not always why it failed.
    let text = error.to_string();
    match innermost(error).filter(|reason| !text.contains(reason)) {
        Some(reason) => format!("{cause}: {text}: {reason}"),
        None => format!("{cause}: {text}"),
    }
}

/// The last error in the chain.
fn innermost(error: &Error) -> Option<String> {
    let mut source = error.source()?;
    while let Some(next) = source.source() {
        source = next;
    }
    Some(source.to_string())
}

/// How the connection failed, if it was the connection.
fn transport(error: &Error) -> Option<HttpErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<HttpError>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    None
}
