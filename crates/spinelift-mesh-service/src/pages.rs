//! Requests that web pages have a visitor's browser send.
//!
//! Without keys the service trusts whoever can connect to it, and on a developer's machine every page
//! in a browser can: it may post forms to `127.0.0.1` unasked, or have its own host name resolve to
//! that address. Browsers tell where a request comes from, and other clients are not concerned.

use crate::address::is_localhost;
use crate::auth::is_health_check;
use crate::cors::CorsOrigins;
use crate::error::ApiError;
use crate::settings::Settings;
use axum::extract::{Request, State};
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use serde_json::json;
use std::sync::Arc;
use url::{Host, Url};

/// How the page that sends a request is related to us, in the browser's words.
const FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Longest host name that is repeated.
const MAX_SHOWN: usize = 100;

/// Which requests of pages are served where there are no keys.
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    origins: CorsOrigins,
    public: Option<Arc<Url>>,
    /// Whether every client is on this machine, so that it is called by one of its names.
    is_local: bool,
}

/// Why a request is not served.
#[derive(Debug, PartialEq, Eq)]
enum Denied {
    /// It is for a host that we are not.
    Host(String),
    /// A page of somebody else sends it.
    Origin,
}

impl Pages {
    /// None if clients need keys, which no page has by itself.
    pub(crate) fn new(settings: &Settings) -> Option<Self> {
        let public = settings.public_url.as_deref().map(Url::parse);
        settings.api_keys.is_empty().then(|| Self {
            origins: settings.cors_origins.clone(),
            public: public.and_then(Result::ok).map(Arc::new),
            // Proxies may send any name.
            is_local: settings.host.to_canonical().is_loopback()
                && settings.trusted_proxies.is_empty(),
        })
    }

    fn check(&self, request: &Request) -> Result<(), Denied> {
        if is_health_check(request.uri().path()) {
            return Ok(());
        }
        let headers = request.headers();
        if self.is_local {
            let hosts = headers.get_all(HOST).into_iter();
            if let Some(other) = hosts.into_iter().find(|host| !self.is_ours(host)) {
                let shown = String::from_utf8_lossy(other.as_bytes());
                return Err(Denied::Host(shown.chars().take(MAX_SHOWN).collect()));
            }
        }
        let is_safe = matches!(
            *request.method(),
            Method::GET | Method::HEAD | Method::OPTIONS
        );
        let site = headers.get(FETCH_SITE).map(HeaderValue::as_bytes);
        let is_served = is_safe
            || match (site, headers.get(ORIGIN)) {
                (Some(b"same-origin" | b"none"), _) | (None, None) => true,
                (Some(_), None) => false,
                (Some(_), Some(origin)) => self.origins.include(origin),
                (None, Some(origin)) => {
                    self.origins.include(origin) || self.is_own(origin, headers.get(HOST))
                }
            };
        is_served.then_some(()).ok_or(Denied::Origin)
    }

    /// Whether a `Host` header names this machine, or what `PUBLIC_URL` does.
    fn is_ours(&self, host: &HeaderValue) -> bool {
        let url = url_of(host, "http");
        match url.as_ref().and_then(Url::host) {
            Some(Host::Ipv4(address)) if address.is_loopback() => true,
            Some(Host::Ipv6(address)) if address.is_loopback() => true,
            Some(Host::Domain(name)) if is_localhost(name) => true,
            Some(host) => self
                .public
                .as_ref()
                .is_some_and(|url| url.host() == Some(host)),
            None => false,
        }
    }

    /// Whether an origin is that of our own pages, as the client reaches us.
    fn is_own(&self, origin: &HeaderValue, host: Option<&HeaderValue>) -> bool {
        let text = origin.to_str().ok();
        let Some(origin) = text.and_then(|text| Url::parse(text).ok()) else {
            return false;
        };
        // A proxy may speak TLS for us.
        let own = host.and_then(|host| url_of(host, origin.scheme()));
        let is = |url: &Url| url.origin() == origin.origin() && url.origin().is_tuple();
        own.as_ref().is_some_and(is) || self.public.as_deref().is_some_and(is)
    }
}

fn url_of(host: &HeaderValue, scheme: &str) -> Option<Url> {
    let url = Url::parse(&format!("{scheme}://{}/", host.to_str().ok()?)).ok()?;
    (url.path() == "/" && url.username().is_empty() && url.query().is_none()).then_some(url)
}

/// Answers requests of pages that are not served itself.
pub(crate) async fn refuse_foreign_pages(
    State(pages): State<Pages>,
    request: Request,
    next: Next,
) -> Response {
    match pages.check(&request) {
        Ok(()) => next.run(request).await,
        Err(denied) => ApiError::from(denied).into_response(),
    }
}

impl From<Denied> for ApiError {
    fn from(denied: Denied) -> Self {
        match denied {
            Denied::Host(host) => ApiError::new(
                StatusCode::MISDIRECTED_REQUEST,
                "HOST_NOT_ALLOWED",
                "The service listens on this machine alone and has no keys, so it is asked for as \
                 localhost or 127.0.0.1 only; set PUBLIC_URL to the URL that clients use, or \
                 TRUSTED_PROXIES behind a proxy, or API_KEYS",
                json!({ "host": host }),
            ),
            Denied::Origin => ApiError::new(
                StatusCode::FORBIDDEN,
                "ORIGIN_NOT_ALLOWED",
                "A web page of another origin sends this request, and CORS_ORIGINS does not name \
                 that",
                json!({}),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;

    fn pages(change: impl FnOnce(&mut Settings)) -> Pages {
        let mut settings = Settings::default();
        change(&mut settings);
        Pages::new(&settings).expect("there are no keys")
    }

    fn check(pages: &Pages, method: &str, headers: &[(&str, &str)]) -> Result<(), Denied> {
        let mut request = Request::builder().method(method).uri("/api/v1/mesh/upload");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        pages.check(&request.body(Body::empty()).expect("valid"))
    }

    #[test]
    fn on_this_machine_the_service_has_names_of_its_own_only() {
        let local = pages(|_| {});
        let host = |pages: &Pages, host| check(pages, "GET", &[("host", host)]).is_ok();
        for good in [
            "localhost",
            "localhost:8000",
            "LOCALHOST.",
            "mesh.localhost:1",
            "127.0.0.1:8000",
            "127.9.9.9",
            "[::1]:8000",
        ] {
            assert!(host(&local, good), "{good}");
        }
        for bad in [
            "evil.example",
            "evil.example:8000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "evil.example@127.0.0.1",
            "10.0.0.1",
            "[::2]",
            "",
            "a b",
            "localhost/x",
            "localhost?x",
        ] {
            assert!(!host(&local, bad), "{bad}");
        }
        assert!(check(&local, "GET", &[]).is_ok());
        let two = [("host", "localhost"), ("host", "evil.example")];
        assert!(check(&local, "GET", &two).is_err());

        let public = pages(|s| s.public_url = Some("https://Mesh.example/x".into()));
        assert!(host(&public, "mesh.example"));
        assert!(host(&public, "localhost"));
        assert!(!host(&public, "evil.example"));
        let proxied =
            pages(|s| s.trusted_proxies = vec!["127.0.0.1/32".parse().expect("a network")]);
        assert!(host(&proxied, "backend"));
        let open = pages(|s| s.host = [0, 0, 0, 0].into());
        assert!(host(&open, "mesh.internal"));
    }

    #[test]
    fn pages_of_others_change_nothing() {
        let settings = |s: &mut Settings| {
            s.cors_origins = CorsOrigins::parse("https://editor.example").expect("valid");
            s.public_url = Some("https://mesh.example".into());
        };
        let pages = pages(settings);
        let host = ("host", "localhost:8000");
        let site = |value| ("sec-fetch-site", value);
        let origin = |value| ("origin", value);
        for good in [
            &[host][..],
            &[site("same-origin")],
            &[site("none")],
            &[host, site("same-origin"), origin("http://localhost:8000")],
            &[host, origin("http://localhost:8000")],
            &[("host", "localhost"), origin("http://localhost")],
            &[("host", "localhost"), origin("https://localhost")],
            &[host, origin("https://mesh.example")],
            &[host, origin("https://editor.example")],
            &[host, site("cross-site"), origin("https://editor.example")],
        ] {
            assert_eq!(check(&pages, "POST", good), Ok(()), "{good:?}");
        }
        for bad in [
            &[host, site("cross-site")][..],
            &[host, site("same-site")],
            &[host, site("cross-site"), origin("http://localhost:8000")],
            &[host, site("cross-site"), origin("https://evil.example")],
            &[host, origin("https://evil.example")],
            &[host, origin("http://localhost:3000")],
            &[host, origin("http://mesh.example")],
            &[host, origin("null")],
            &[host, origin("file://")],
            &[origin("http://localhost:8000")],
        ] {
            for method in ["POST", "DELETE"] {
                assert_eq!(check(&pages, method, bad), Err(Denied::Origin), "{bad:?}");
            }
            // They cannot read what they get.
            assert_eq!(check(&pages, "GET", bad), Ok(()), "{bad:?}");
        }
        let any = super::tests::pages(|s| s.cors_origins = CorsOrigins::Any);
        let evil = [host, site("cross-site"), origin("https://evil.example")];
        assert_eq!(check(&any, "POST", &evil), Ok(()));
    }
}
