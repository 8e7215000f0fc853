//! The id of a request: the client's own if it is fit for logs and headers, else a new one.

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;
use std::fmt;
use std::sync::Arc;

/// The header it comes and goes in.
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Longest id that is taken over from a client.
const MAX_LENGTH: usize = 128;

/// An id of 1 to 128 visible ASCII characters. Handlers find it in the request's extensions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RequestId(Arc<str>);

impl RequestId {
    fn of(request: &Request) -> Self {
        let given = request.headers().get(X_REQUEST_ID);
        given
            .and_then(Self::accept)
            .unwrap_or_else(|| Self(uuid::Uuid::now_v7().to_string().into()))
    }

    fn accept(value: &HeaderValue) -> Option<Self> {
        let text = value.to_str().ok()?;
        let fits = (1..=MAX_LENGTH).contains(&text.len());
        let visible = text.bytes().all(|byte| byte.is_ascii_graphic());
        (fits && visible).then(|| Self(text.into()))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Gives every request its id, and every answer the id of its request.
pub(crate) async fn identify_request(mut request: Request, next: Next) -> Response {
    let id = RequestId::of(&request);
    // Visible ASCII always is a header value.
    let value = HeaderValue::from_str(&id.0).ok();
    request.extensions_mut().insert(id);
    let mut response = next.run(request).await;
    if let Some(value) = value {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_that_could_forge_log_lines_or_fill_them_are_not_taken_over() {
        let long = "x".repeat(129);
        for bad in ["", "a b", "a\tb", "\u{e9}", &long] {
            let value = HeaderValue::from_bytes(bad.as_bytes()).expect("a header value");
            assert_eq!(RequestId::accept(&value), None, "{bad:?}");
        }
        for good in ["from-rails-7", "a\"{}=;", &long[1..]] {
            let value = HeaderValue::from_bytes(good.as_bytes()).expect("a header value");
            let id = RequestId::accept(&value).expect(good);
            assert_eq!(id.to_string(), good);
        }
    }
}
