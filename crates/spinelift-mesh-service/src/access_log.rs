//! One line in the log for each request, and the span that all its other lines are in.

use crate::auth::is_health_check;
use crate::client::Client;
use crate::error::ErrorCode;
use crate::metrics::{Endpoint, Metrics};
use crate::request_id::RequestId;
use crate::trace::{self, ROUTINE};
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Body as HttpBody, Frame, SizeHint};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;
use tracing::{Instrument, Span, error_span};

/// Logs and counts requests when they are over.
pub(crate) async fn log_request(
    State(metrics): State<Arc<Metrics>>,
    request: Request,
    next: Next,
) -> Response {
    let mut entry = Entry::new(&request, metrics);
    let span = entry.span.clone();
    let response = next.run(request).instrument(span).await;
    entry.status = Some(response.status());
    if let Some(ErrorCode(code)) = response.extensions().get() {
        entry.metrics.http.refused(code);
    }
    let (parts, body) = response.into_parts();
    Response::from_parts(parts, Body::new(LoggedBody { body, entry }))
}

/// A request, as far as it has got. It is logged when dropped: after the last byte of its answer,
/// or when its client has gone.
struct Entry {
    span: Span,
    begin: Instant,
    client: Option<Client>,
    endpoint: Endpoint,
    /// Whether it comes every few seconds.
    is_routine: bool,
    metrics: Arc<Metrics>,
    /// None until the answer begins.
    status: Option<StatusCode>,
    bytes: u64,
}

impl Entry {
    fn new(request: &Request, metrics: Arc<Metrics>) -> Self {
        let path = request.uri().path();
        let is_routine = is_health_check(path) || path == "/metrics";
        Self {
            span: span(request, is_routine),
            begin: Instant::now(),
            client: request.extensions().get::<Client>().cloned(),
            endpoint: Endpoint::of(request),
            is_routine,
            metrics,
            status: None,
            bytes: 0,
        }
    }
}

/// The span of a request. It has the level of errors, since a span that the filter leaves out
/// would take the id from the lines that are not left out. Queries stay out of it: they hold
/// signatures.
fn span(request: &Request, is_routine: bool) -> Span {
    let id = request.extensions().get::<RequestId>();
    let id = id.map(tracing::field::display);
    let (method, path) = (request.method(), request.uri().path());
    if is_routine {
        return error_span!(target: ROUTINE, "request", request_id = id, %method, path);
    }
    let span = error_span!("request", request_id = id, %method, path);
    trace::join(&span, request.headers());
    span
}

impl Drop for Entry {
    fn drop(&mut self) {
        let took = self.begin.elapsed();
        self.metrics
            .http
            .answered(&self.endpoint, self.status, took);
        let _in_span = self.span.enter();
        let client = self.client.as_ref().map(tracing::field::display);
        let milliseconds = took.as_millis() as u64;
        let bytes = self.bytes;
        let Some(status) = self.status else {
            tracing::info!(client, milliseconds, "gone before it was answered");
            return;
        };
        let status = status.as_u16();
        // Health checks and scrapes would bury everything else.
        if self.is_routine {
            tracing::debug!(status, milliseconds, client, bytes, "answered");
        } else {
            tracing::info!(status, milliseconds, client, bytes, "answered");
        }
    }
}

/// A body that counts its bytes.
struct LoggedBody {
    body: Body,
    entry: Entry,
}

impl HttpBody for LoggedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.entry.bytes = self.entry.bytes.saturating_add(bytes);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use axum::Router;
    use axum::middleware::from_fn_with_state;
    use axum::routing::get;
    use std::fs::File;
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use tower::ServiceExt;

    #[tokio::test]
    async fn a_client_that_leaves_before_its_answer_is_logged() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let log = tracing_subscriber::fmt().with_writer(File::create(&path).expect("a file"));
        let log = tracing::subscriber::set_default(log.finish());
        let router = Router::new()
            .route("/never", get(pending::<()>))
            .layer(from_fn_with_state(
                Metrics::new(&Settings::default()),
                log_request,
            ));
        {
            let request = Request::get("/never").body(Body::empty()).expect("valid");
            let mut answer = pin!(router.oneshot(request));
            let asked = poll_fn(|cx| Poll::Ready(answer.as_mut().poll(cx).is_pending()));
            assert!(asked.await);
        }
        drop(log);
        let log = std::fs::read_to_string(&path).expect("text");
        let lines: Vec<_> = log.lines().collect();
        assert!(
            matches!(lines[..], [line] if line.contains("gone") && line.contains("/never")),
            "{log}"
        );
    }
}
