//! Repeating what a client sent: not at length, and without secrets.

use crate::redacted::RedactedUrl;
use serde_json::{Value, json};
use std::borrow::Cow;
use url::Url;

/// Most characters of a value that are repeated in the answer.
const MAX_ECHO: usize = 200;

/// A mistake, as it is answered.
pub(crate) fn wrong(field: &str, value: &Value, message: &str) -> Value {
    json!({ "field": field, "value": echo(value), "message": message })
}

pub(super) fn start_of(text: &str) -> String {
    text.chars().take(MAX_ECHO).collect()
}

/// A wrong value as it is sent back: an answer is no place for a megabyte, or for the password
/// of a URL that some log will keep.
pub(super) fn echo(value: &Value) -> Value {
    match value {
        Value::String(text) => match Url::parse(text) {
            Ok(url) if url.has_host() => start_of(&RedactedUrl::new(url).to_string()).into(),
            _ => start_of(&redacted(text)).into(),
        },
        Value::Array(_) => "[…]".into(),
        Value::Object(_) => "{…}".into(),
        other => other.clone(),
    }
}

/// A text without what would be a secret if it were a URL: it may be one with a mistake in it.
fn redacted(text: &str) -> Cow<'_, str> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return text.into();
    };
    let plain = rest.split(['?', '#']).next().unwrap_or_default();
    let (authority, path) = plain.split_at(plain.find('/').unwrap_or(plain.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}").into()
}
