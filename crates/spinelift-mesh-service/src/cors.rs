//! Which web pages may use the API from a browser.

use crate::api::{IDEMPOTENCY_KEY, LAST_EVENT_ID};
use crate::auth::API_KEY;
use crate::request_id::X_REQUEST_ID;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, Method};
use std::time::Duration;
use tower_http::cors::{AllowOrigin, CorsLayer};
use url::Url;

/// How long a browser may remember what it was allowed.
const MAX_AGE: Duration = Duration::from_secs(3600);

/// The origins of pages that may use the API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CorsOrigins {
    /// None: no answer speaks of origins.
    None,
    /// All.
    Any,
    /// These, as browsers write them.
    List(Vec<HeaderValue>),
}

impl CorsOrigins {
    /// Reads a list of origins, separated by commas, or `*`. `None` if one is not an origin.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let entries = text.split(',').map(str::trim);
        let entries: Vec<_> = entries.filter(|entry| !entry.is_empty()).collect();
        match *entries {
            [] => Some(Self::None),
            ["*"] => Some(Self::Any),
            _ => {
                let origins: Option<_> = entries.into_iter().map(origin).collect();
                origins.map(Self::List)
            }
        }
    }

    /// Whether these pages may.
    pub(crate) fn include(&self, origin: &HeaderValue) -> bool {
        match self {
            Self::None => false,
            Self::Any => true,
            Self::List(origins) => origins.contains(origin),
        }
    }

    /// What answers browsers that ask whether a page may.
    pub(crate) fn layer(&self) -> Option<CorsLayer> {
        let origins = match self {
            Self::None => return None,
            Self::Any => AllowOrigin::any(),
            Self::List(origins) => AllowOrigin::list(origins.iter().cloned()),
        };
        let headers = [
            AUTHORIZATION,
            CONTENT_TYPE,
            IF_NONE_MATCH,
            HeaderName::from_static(IDEMPOTENCY_KEY),
            HeaderName::from_static(LAST_EVENT_ID),
            HeaderName::from_static(API_KEY),
            X_REQUEST_ID,
        ];
        let layer = CorsLayer::new()
            .allow_origin(origins)
            .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::DELETE])
            .allow_headers(headers)
            .expose_headers([X_REQUEST_ID, RETRY_AFTER, LOCATION, ETAG])
            .max_age(MAX_AGE);
        Some(layer)
    }
}

/// Scheme, host and port, and nothing else; the port is left out if it is the scheme's own.
fn origin(text: &str) -> Option<HeaderValue> {
    let url = Url::parse(text).ok()?;
    let is_origin = matches!(url.scheme(), "http" | "https")
        && url.path() == "/"
        && !text.ends_with('/')
        // A pattern would match nothing.
        && !text.contains('*')
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    let origin = || HeaderValue::from_str(&url.origin().ascii_serialization()).ok();
    is_origin.then(origin).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_read_as_browsers_write_them() {
        let list = |origins: &[&'static str]| {
            let values = origins.iter().copied().map(HeaderValue::from_static);
            Some(CorsOrigins::List(values.collect()))
        };
        for (text, expected) in [
            ("", Some(CorsOrigins::None)),
            ("*", Some(CorsOrigins::Any)),
            ("https://A.example", list(&["https://a.example"])),
            (
                "https://a.example:443, http://b.example:81",
                list(&["https://a.example", "http://b.example:81"]),
            ),
            ("https://a.example,*", None),
            ("https://a.example/", None),
            ("https://a.example/path", None),
            ("https://*.example", None),
            ("https://u@a.example", None),
            ("a.example", None),
            ("null", None),
        ] {
            assert_eq!(CorsOrigins::parse(text), expected, "{text}");
        }
    }
}
