//! Who makes a request, and what its headers say about a job.

use super::Api;
use crate::client::Client;
use crate::error::ApiError;
use crate::job::JobId;
use crate::request::Invalid;
use crate::request_id::RequestId;
use axum::extract::FromRequestParts;
use axum::http::HeaderValue;
use axum::http::request::Parts;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// The header by which a client that retries finds the job of its first try.
pub(crate) const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// Longest key, in characters.
pub(super) const MAX_KEY: usize = 255;

/// Who makes a request.
pub(super) struct Caller {
    pub(super) client: String,
    pub(super) request_id: String,
    /// `http://host:port` under which the client reached us.
    pub(super) base_url: String,
    key: Option<HeaderValue>,
}

impl FromRequestParts<Api> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, api: &Api) -> Result<Self, ApiError> {
        let client = parts.extensions.get::<Client>();
        let request_id = parts.extensions.get::<RequestId>();
        // Layers put both there.
        let (Some(client), Some(request_id)) = (client, request_id) else {
            return Err(ApiError::internal());
        };
        Ok(Self {
            client: client.to_string(),
            request_id: request_id.to_string(),
            base_url: api.result_urls.base(&parts.headers),
            key: parts.headers.get(IDEMPOTENCY_KEY).cloned(),
        })
    }
}

/// The name of a new job, and who chose it.
pub(super) struct Name {
    pub(super) id: JobId,
    /// Whether it follows from the client's `Idempotency-Key`.
    pub(super) is_derived: bool,
}

impl Caller {
    /// The name that the client gave the job, or one that its key leads to, or a new one.
    pub(super) fn name(&self, given: Option<JobId>) -> Result<Name, Invalid> {
        let (id, is_derived) = match (given, &self.key) {
            (Some(id), _) => (id, false),
            (None, Some(key)) => (self.derived(key)?, true),
            (None, None) => (JobId::generate(), false),
        };
        Ok(Name { id, is_derived })
    }

    /// Clients do not know each other's keys, so each has its own ids.
    fn derived(&self, key: &HeaderValue) -> Result<JobId, Invalid> {
        let text = key.to_str().unwrap_or_default();
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        if !visible || !(1..=MAX_KEY).contains(&text.len()) {
            let message =
                format!("Idempotency-Key must be 1 to {MAX_KEY} visible ASCII characters");
            return Err(Invalid::one("Idempotency-Key", &text.into(), &message));
        }
        let digest = Sha256::digest(format!("{}\n{text}", self.client));
        let mut id = String::from("key-");
        for byte in &digest[..16] {
            // Writing to a string cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        JobId::parse(&id)
            .map_err(|error| Invalid::one("Idempotency-Key", &text.into(), &error.to_string()))
    }
}
