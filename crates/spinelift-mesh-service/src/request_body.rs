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

/// What the body of a request has reserved. It is given back when the last clone is dropped: whoever
/// goes on with the body, perhaps after its client has left, keeps one.
#[derive(Clone, Default)]
pub(crate) struct BodyMemory(Arc<Mutex<Held>>);

impl BodyMemory {
    /// The memory of a request that comes in.
    pub(crate) fn of(request: &Request) -> Self {
        let memory = request.extensions().get::<Self>();
        memory.cloned().unwrap_or_default()
    }
}

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
    mut request: Request,
    next: Next,
) -> Response {
    let memory = BodyMemory::default();
    request.extensions_mut().insert(memory.clone());
    let request = request.map(|body| {
        Body::new(Counted {
            body,
            budget,
            memory,
        })
    });
    next.run(request).await
}

struct Counted {
    body: Body,
    budget: MemoryBudget,
    memory: BodyMemory,
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
            && let Err(error) = self.memory.0.lock().take(data.len() as u64, &self.budget)
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

    #[tokio::test]
    async fn a_body_is_counted_as_long_as_anybody_works_on_it() {
        let budget = MemoryBudget::new(1024 * 1024, 1024).expect("fits");
        let (done, is_done) = tokio::sync::oneshot::channel::<()>();
        let is_done = Mutex::new(Some(is_done));
        let (ended, has_ended) = tokio::sync::oneshot::channel();
        let ended = Mutex::new(Some(ended));
        let handler = async move |request: Request| {
            let memory = BodyMemory::of(&request);
            let body = axum::body::to_bytes(request.into_body(), usize::MAX).await;
            let (is_done, ended) = (is_done.lock().take(), ended.lock().take());
            tokio::spawn(async move {
                let _body = body;
                is_done.expect("the first request").await.expect("told");
                drop(memory);
                ended.expect("the first request").send(()).expect("awaited");
            });
        };
        let handler = Arc::new(handler);
        let route = axum::routing::post(move |request| {
            let handler = Arc::clone(&handler);
            async move { handler(request).await }
        });
        let router =
            axum::Router::new()
                .route("/", route)
                .layer(axum::middleware::from_fn_with_state(
                    budget.clone(),
                    account_for_body,
                ));
        let body = Body::from(vec![0; 100 * 1024]);
        let request = Request::post("/").body(body).expect("valid");
        let answer = tower::ServiceExt::oneshot(router, request).await;
        assert_eq!(answer.expect("answered").status(), StatusCode::OK);
        // Of 128 KiB.
        assert!(budget.try_body(64 * 1024).is_none());
        done.send(()).expect("awaited");
        has_ended.await.expect("told");
        assert!(budget.try_body(128 * 1024).is_some());
    }
}
