//! The parts of a form as they come, with a bound on what stands between them.
//!
//! The parser keeps whatever it reads until the head of the next part is whole, and knows no bound
//! for that.

use super::Api;
use crate::error::ApiError;
use crate::request_body::BodyMemory;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::multipart::{Field, Multipart, MultipartError};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use http_body::{Frame, SizeHint};
use serde_json::json;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

/// Bytes between two parts after which no more are read. Heads are much shorter, but the parser may
/// look at what it has only after the next few pieces.
pub(super) const MAX_BETWEEN: usize = 256 * 1024;

/// The parts of a form.
pub(super) struct Parts {
    multipart: Multipart,
    between: Between,
    /// What the body has reserved.
    pub(super) memory: BodyMemory,
}

/// There is too much between two parts.
#[derive(Debug, thiserror::Error)]
#[error("the head of a part has no end")]
struct TooMuchBetween;

/// How many bytes may still be read before the next part has to begin.
#[derive(Clone)]
struct Between(Arc<AtomicUsize>);

/// Inside of a part its reader counts.
const UNBOUNDED: usize = usize::MAX;

impl FromRequest<Api> for Parts {
    type Rejection = ApiError;

    async fn from_request(request: Request, api: &Api) -> Result<Self, ApiError> {
        let memory = BodyMemory::of(&request);
        let between = Between(Arc::new(AtomicUsize::new(UNBOUNDED)));
        let request = request.map(|body| {
            Body::new(InPieces {
                body,
                between: between.clone(),
                pauses: false,
            })
        });
        let multipart = Multipart::from_request(request, api).await;
        Ok(Self {
            multipart: multipart.map_err(|_| not_a_form())?,
            between,
            memory,
        })
    }
}

impl Parts {
    /// The next part. Of the one before all has to be read.
    pub(super) async fn next(&mut self) -> Result<Option<Field<'_>>, MultipartError> {
        self.between.0.store(MAX_BETWEEN, Ordering::Relaxed);
        let part = self.multipart.next_field().await;
        self.between.0.store(UNBOUNDED, Ordering::Relaxed);
        part
    }
}

/// A body that comes piece by piece: the parser would read as long as there is something, whatever it
/// has got already.
struct InPieces {
    body: Body,
    between: Between,
    pauses: bool,
}

impl HttpBody for InPieces {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if std::mem::take(&mut self.pauses) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let left = self.between.0.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Some(Err(axum::Error::new(TooMuchBetween))));
        }
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.pauses = true;
            if left != UNBOUNDED {
                let read = frame.data_ref().map_or(0, Bytes::len);
                let left = left.saturating_sub(read);
                self.between.0.store(left, Ordering::Relaxed);
            }
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

/// Whether a form could not be read for that reason.
pub(super) fn is_too_much_between(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TooMuchBetween>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn not_a_form() -> ApiError {
    ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "The request must be multipart/form-data, with a boundary; to have the service load an \
         image, use generate",
        json!({}),
    )
}
