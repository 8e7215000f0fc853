//! Posting one event to its receiver.

use super::event::Event;
use super::signature::WebhookSecrets;
use crate::address::Outbound;
use crate::clock;
use crate::engine::DeliveryId;
use crate::metrics::CallbackMetrics;
use crate::redacted::RedactedUrl;
use crate::trace::{self, Traces};
use reqwest::header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span};

/// Most bytes of an answer that are read, so that its connection can be used again.
const ANSWER: usize = 64 * 1024;

/// Posts events.
#[derive(Clone)]
pub(super) struct Poster {
    pub(super) outbound: Outbound,
    pub(super) secrets: WebhookSecrets,
    /// Time for one attempt, from connecting to the end of the answer.
    pub(super) timeout: Duration,
    pub(super) metrics: CallbackMetrics,
    pub(super) traces: Arc<Traces>,
}

/// Why an event was not taken.
#[derive(Debug)]
pub(super) struct NotTaken {
    /// The HTTP status of the answer, if there was one.
    pub(super) status: Option<u16>,
    /// What went wrong.
    pub(super) reason: String,
    /// When the receiver wants to be asked again.
    pub(super) retry_after: Option<Duration>,
}

impl NotTaken {
    pub(super) fn unanswered(reason: impl Into<String>) -> Self {
        Self {
            status: None,
            reason: reason.into(),
            retry_after: None,
        }
    }
}

impl Poster {
    /// Posts an event under an id; the HTTP status with which it was taken.
    pub(super) async fn post(
        &self,
        url: &RedactedUrl,
        id: &DeliveryId,
        event: &Event,
    ) -> Result<u16, NotTaken> {
        let began = Instant::now();
        let span = tracing::trace_span!(parent: None, "callback", job_id = event.job_id());
        self.traces.resume(event.job_id(), &span);
        let taken = self.try_post(url, id, event).instrument(span).await;
        let counted = taken.as_ref().map(|_| ()).map_err(|error| error.status);
        self.metrics.attempted(counted, began.elapsed());
        taken
    }

    async fn try_post(
        &self,
        url: &RedactedUrl,
        id: &DeliveryId,
        event: &Event,
    ) -> Result<u16, NotTaken> {
        let end = Instant::now() + self.timeout;
        let answer = match timeout_at(end, self.send(url, id, event)).await {
            Ok(answer) => answer?,
            Err(_) => {
                let seconds = self.timeout.as_secs_f64();
                let reason = format!("no answer within {seconds} s (CALLBACK_TIMEOUT)");
                return Err(NotTaken::unanswered(reason));
            }
        };
        let taken = judge(&answer);
        // What follows the status changes nothing.
        let _ = timeout_at(end, read(answer)).await;
        taken
    }

    async fn send(
        &self,
        url: &RedactedUrl,
        id: &DeliveryId,
        event: &Event,
    ) -> Result<Response, NotTaken> {
        let body =
            serde_json::to_vec(event).map_err(|error| NotTaken::unanswered(error.to_string()))?;
        let timestamp = clock::now().timestamp();
        let mut request = self
            .outbound
            .post(url.reveal())
            .map_err(|refused| NotTaken::unanswered(refused.to_string()))?
            .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
            .headers(trace::headers(&Span::current()))
            .header("webhook-id", id.as_str())
            .header("webhook-timestamp", timestamp);
        if let Some(signature) = self.secrets.sign(id, timestamp, &body) {
            request = request.header("webhook-signature", signature);
        }
        let answer = request.body(body).send().await;
        answer.map_err(|error| NotTaken::unanswered(describe(&error)))
    }
}

/// A redirect is a failure too: it would lead an event to where nobody sent it.
fn judge(answer: &Response) -> Result<u16, NotTaken> {
    let status = answer.status();
    if status.is_success() {
        return Ok(status.as_u16());
    }
    let has_time = matches!(
        status,
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
    );
    let value = answer.headers().get(RETRY_AFTER).filter(|_| has_time);
    Err(NotTaken {
        status: Some(status.as_u16()),
        reason: format!("HTTP status {}", status.as_u16()),
        retry_after: value.and_then(|value| retry_after(value, clock::now().into())),
    })
}

/// A number of seconds, or a date.
fn retry_after(value: &HeaderValue, now: SystemTime) -> Option<Duration> {
    let text = value.to_str().ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More than fits is a long time.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

/// Reads an answer to its end, or as far as is bearable.
async fn read(mut answer: Response) {
    let mut read = 0;
    while read < ANSWER
        && let Ok(Some(chunk)) = answer.chunk().await
    {
        read += chunk.len();
    }
}

/// What went wrong, without the URL that `reqwest` would print.
fn describe(error: &reqwest::Error) -> String {
    match Outbound::unreachable(error) {
        Some(reason) => reason.to_string(),
        None if error.is_connect() => "the connection failed".to_owned(),
        None => "the connection broke".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_come_back_is_a_number_of_seconds_or_a_date() {
        // 2025-01-08T10:00:00Z.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_736_330_400);
        for (value, seconds) in [
            ("120", Some(120)),
            (" 0", Some(0)),
            ("99999999999999999999", Some(u64::MAX)),
            ("Wed, 08 Jan 2025 10:01:30 GMT", Some(90)),
            ("Wed, 08 Jan 2025 09:00:00 GMT", Some(0)),
            ("Wednesday, 08-Jan-25 10:01:30 GMT", Some(90)),
            ("", None),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
        ] {
            let value = HeaderValue::from_static(value);
            let expected = seconds.map(Duration::from_secs);
            assert_eq!(retry_after(&value, now), expected, "{value:?}");
        }
        let bytes = HeaderValue::from_bytes(b"\xff").expect("a header value");
        assert_eq!(retry_after(&bytes, now), None);
    }
}
