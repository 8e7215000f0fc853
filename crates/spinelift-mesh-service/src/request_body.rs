//! Request bodies: all of them together take no more memory than there is for them.

use crate::error::ApiError;
use crate::memory::{MemoryBudget, Reservation};
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::Response;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use serde_json::json;
use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tower_http::timeout::TimeoutError;

/// What is reserved at a time.
const STEP: u64 = 64 * 1024;

/// There is no memory left for the rest of a body.
#[derive(Debug, thiserror::Error)]
#[error("there is no memory for the request body at the moment")]
struct NoRoom;

/// What a request has reserved: it is given back when the request has been answered.
#[derive(Default)]
struct Held {
    bytes: u64,
    reserved: u64,
    memory: Option<Reservation>,
}

impl Held {
    fn take(&mut self, bytes: u64, budget: &MemoryBudget) -> Result<(), NoRoom> {
        self.bytes += bytes;
        if self.bytes > self.reserved {
            let more = (self.bytes - self.reserved).max(STEP);
            let memory = budget.try_body(more).ok_or(NoRoom)?;
            self.reserved += more;
            match &mut self.memory {
                Some(held) => held.add(memory),
                none => *none = Some(memory),
            }
        }
        Ok(())
    }
}

/// Counts what comes in of a request's body.
pub(crate) async fn account_for_body(
    State(budget): State<MemoryBudget>,
    request: Request,
    next: Next,
) -> Response {
    let held = Arc::new(Mutex::new(Held::default()));
    let request = request.map(|body| {
        Body::new(Counted {
            body,
            budget,
            held: Arc::clone(&held),
        })
    });
    let response = next.run(request).await;
    drop(held);
    response
}

struct Counted {
    body: Body,
    budget: MemoryBudget,
    held: Arc<Mutex<Held>>,
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
            && let Err(error) = self.held.lock().take(data.len() as u64, &self.budget)
        {
            return Poll::Ready(Some(Err(axum::Error::new(error))));
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

/// The answer to a body that was not read to its end because of one of our bounds; `None` if it
/// simply broke off or is malformed.
pub(crate) fn refusal(error: &(dyn Error + 'static)) -> Option<ApiError> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<NoRoom>() {
            return Some(ApiError::unavailable(
                "MEMORY_BUDGET_EXHAUSTED",
                "Other requests take all the memory that MEMORY_BUDGET leaves for request bodies",
                json!({}),
            ));
        }
        if error.is::<TimeoutError>() {
            return Some(ApiError::new(
                StatusCode::REQUEST_TIMEOUT,
                "BODY_TIMEOUT",
                "The request body stopped arriving for longer than BODY_TIMEOUT allows",
                json!({}),
            ));
        }
        if error.is::<http_body_util::LengthLimitError>() {
            return Some(ApiError::of_status(StatusCode::PAYLOAD_TOO_LARGE));
        }
        cause = error.source();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_takes_what_it_is_long_in_steps_until_there_is_no_more() {
        let budget = MemoryBudget::new(1024 * 1024, 1024).expect("fits");
        let (mut first, mut second) = (Held::default(), Held::default());
        for _ in 0..1000 {
            first.take(64, &budget).expect("room");
        }
        assert_eq!((first.bytes, first.reserved), (64_000, STEP));
        assert!(second.take(STEP, &budget).is_ok());
        assert!(first.take(STEP, &budget).is_err());
        drop(first);
        assert!(second.take(STEP, &budget).is_ok());
        drop(second);
        assert!(budget.try_body(2 * STEP).is_some());
    }
}
