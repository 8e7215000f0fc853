//! Who may ask: clients with an API key, and whoever holds a signed URL of a result.

mod keys;
mod signature;

pub use keys::ApiKeys;
pub(crate) use keys::KeyId;
pub(crate) use signature::{SignatureError, UrlSigner, is_signed};

use crate::client::Client;
use crate::engine::{EngineError, JobEngine};
use crate::error::ApiError;
use crate::job::JobId;
use crate::result_url::{ResultUrls, Signed};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;

/// The header of a key, for clients whose `Authorization` is somebody else's.
pub(crate) const API_KEY: &str = "x-api-key";

/// Whether a path is a health check: an orchestrator has no key.
pub(crate) fn is_health_check(path: &str) -> bool {
    path.strip_prefix("/health")
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The keys in a request: as a bearer token, and in a header of its own.
fn presented(headers: &HeaderMap) -> impl Iterator<Item = &[u8]> {
    let bearer = headers.get(AUTHORIZATION).and_then(bearer_token);
    let own = headers.get(API_KEY).map(HeaderValue::as_bytes);
    bearer.into_iter().chain(own)
}

fn bearer_token(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked("bearer".len())?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
    let is_token = token.is_empty() || token.starts_with(b" ");
    (is_bearer && is_token).then(|| token.trim_ascii())
}

/// The key that a request authenticates with.
pub(crate) fn authenticated(keys: &ApiKeys, headers: &HeaderMap) -> Option<KeyId> {
    presented(headers).find_map(|key| keys.find(key))
}

/// What requests must bring.
#[derive(Clone)]
pub(crate) struct Access {
    /// Whether there are keys at all.
    pub(crate) needs_key: bool,
    /// Which URLs can do without.
    pub(crate) result_urls: ResultUrls,
    pub(crate) engine: Arc<dyn JobEngine>,
}

impl Access {
    /// Whether a request may pass, or may if its URL is signed well.
    fn check(&self, request: &Request) -> Result<Pass, Denied> {
        let client = request.extensions().get::<Client>();
        let free = !self.needs_key || is_health_check(request.uri().path());
        if free || client.is_some_and(Client::has_key) {
            return Ok(Pass::Free);
        }
        if matches!(*request.method(), Method::GET | Method::HEAD)
            && let Some(id) = self.result_urls.signed_id(request.uri())
        {
            return Ok(Pass::Signed { id: id.to_owned() });
        }
        Err(Denied::Key {
            presented: presented(request.headers()).next().is_some(),
        })
    }

    /// Checks a signed URL, which is good for one job or batch and not for the next of its name.
    async fn verify(&self, uri: &Uri, id: &str) -> Result<Signed, Denied> {
        let generation = self.generation(id).await.map_err(Denied::Engine)?;
        // Nothing has the generation 0: what is not there is refused like what was not signed, so
        // that strangers learn of no ids.
        let verified = self.result_urls.verify(uri, generation.unwrap_or(0));
        verified.map_err(Denied::Signature)
    }

    async fn generation(&self, id: &str) -> Result<Option<u64>, EngineError> {
        let Ok(id) = JobId::parse(id) else {
            return Ok(None);
        };
        if let Some(job) = self.engine.get(&id).await? {
            return Ok(Some(job.generation));
        }
        let batch = self.engine.batch(&id).await?;
        Ok(batch.map(|batch| batch.generation))
    }
}

/// How a request passes.
enum Pass {
    /// As it is.
    Free,
    /// If the signature in its URL is right.
    Signed { id: String },
}

/// Answers requests that bring nothing, or not the right thing, themselves.
pub(crate) async fn require_access(
    State(access): State<Access>,
    mut request: Request,
    next: Next,
) -> Response {
    match access.check(&request) {
        Ok(Pass::Free) => {}
        Ok(Pass::Signed { id }) => {
            let uri = request.uri().clone();
            match access.verify(&uri, &id).await {
                Ok(signed) => request.extensions_mut().insert(signed),
                Err(denied) => return denied.into_response(),
            };
        }
        Err(denied) => return denied.into_response(),
    }
    next.run(request).await
}

/// Why a request is turned away.
enum Denied {
    /// It has no key, or one that is not ours.
    Key { presented: bool },
    /// Its URL is signed, but not well.
    Signature(SignatureError),
    /// Its URL is signed, and cannot be checked at the moment.
    Engine(EngineError),
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        match self {
            Self::Key { presented } => unauthorized(presented),
            Self::Signature(error) => forbidden(error).into_response(),
            Self::Engine(error) => ApiError::from(error).into_response(),
        }
    }
}

fn unauthorized(presented: bool) -> Response {
    let what = if presented {
        "The API key is not one that this service knows"
    } else {
        "The request has no API key"
    };
    let message = format!("{what}; send one as `Authorization: Bearer KEY` or as `X-API-Key: KEY`");
    let error = ApiError::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message, json!({}));
    let mut response = error.into_response();
    let headers = response.headers_mut();
    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

fn forbidden(error: SignatureError) -> ApiError {
    let (code, message) = match error {
        SignatureError::Expired => (
            "URL_EXPIRED",
            "The URL has expired; the job's status has a new one",
        ),
        SignatureError::Invalid => (
            "URL_SIGNATURE_INVALID",
            "The URL's signature is not right, or its job was deleted; take the URL from the job's \
             status, and as it is",
        ),
    };
    ApiError::new(StatusCode::FORBIDDEN, code, message, json!({}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn health_checks_are_paths_below_health() {
        for path in ["/health", "/health/", "/health/live", "/health/ready"] {
            assert!(is_health_check(path), "{path}");
        }
        for path in ["/healthy", "/api/v1/health", "/HEALTH", "health", "/"] {
            assert!(!is_health_check(path), "{path}");
        }
    }

    #[test]
    fn keys_are_found_in_both_headers() {
        let mut headers = HeaderMap::new();
        assert_eq!(presented(&headers).count(), 0);
        for (value, token) in [
            ("Bearer abc", Some(b"abc".as_slice())),
            ("bearer  abc ", Some(b"abc")),
            ("Bearer ", Some(b"")),
            ("Bearer", Some(b"")),
            ("Bearers abc", None),
            ("Basic abc", None),
        ] {
            headers.insert(AUTHORIZATION, HeaderValue::from_static(value));
            assert_eq!(presented(&headers).next(), token, "{value}");
        }
        headers.insert(API_KEY, HeaderValue::from_static("own"));
        assert_eq!(presented(&headers).next(), Some(b"own".as_slice()));
    }
}
