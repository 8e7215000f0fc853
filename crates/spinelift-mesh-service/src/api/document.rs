//! The JSON document of a request.

use super::Api;
use crate::error::ApiError;
use crate::json;
use crate::request::Invalid;
use crate::request_body::{BodyMemory, refusal};
use axum::body::{Bytes, to_bytes};
use axum::extract::{FromRequest, Request};
use axum::http::StatusCode;
use serde_json::{Value, json};
use std::convert::Infallible;

/// What is longer is read on a thread of its own: an asynchronous one has others to serve.
const LARGE: usize = 256 * 1024;

/// A request whose body is a document, whatever the content type says it is: clients get that header
/// wrong.
pub(super) struct Document(Request);

impl<S: Sync> FromRequest<S> for Document {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self(request))
    }
}

impl Document {
    /// Reads the document, of so many values at most, and makes something of it.
    pub(super) async fn read<T, F>(self, api: &Api, most: usize, make: F) -> Result<T, ApiError>
    where
        T: Send + 'static,
        F: FnOnce(&Value) -> T + Send + 'static,
    {
        let memory = BodyMemory::of(&self.0);
        let bytes = read_bytes(self.0, api).await?;
        if bytes.len() <= LARGE {
            return Ok(make(&parse(&bytes, most)?));
        }
        let read = tokio::task::spawn_blocking(move || {
            let made = parse(&bytes, most).map(|value| make(&value));
            drop(memory);
            made
        });
        read.await.map_err(|_| ApiError::internal())?
    }
}

async fn read_bytes(request: Request, api: &Api) -> Result<Bytes, ApiError> {
    let limit = api.max_json_size;
    // The larger one has been checked against the length that the client announced.
    let has_own_limit = limit < api.max_request_size;
    let bytes = to_bytes(request.into_body(), limit).await;
    bytes.map_err(|error| match refusal(&error) {
        Some(refused) if has_own_limit && refused.is_of(StatusCode::PAYLOAD_TOO_LARGE) => {
            too_large(limit)
        }
        Some(refused) => refused,
        None => ApiError::of_status(StatusCode::BAD_REQUEST),
    })
}

fn parse(bytes: &[u8], most: usize) -> Result<Value, ApiError> {
    json::read(bytes, most).map_err(|error| {
        if error.is_data() {
            return Invalid::too_many_values(most).into();
        }
        ApiError::new(
            StatusCode::BAD_REQUEST,
            "INVALID_JSON",
            format!("The request body is not JSON: {error}"),
            json!({ "line": error.line(), "column": error.column() }),
        )
    })
}

fn too_large(limit: usize) -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "PAYLOAD_TOO_LARGE",
        format!("The document is larger than MAX_JSON_SIZE allows: {limit} bytes"),
        json!({ "max_json_size": limit }),
    )
}
