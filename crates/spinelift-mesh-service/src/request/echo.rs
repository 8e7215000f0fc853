//! Repeating what a client sent: not at length, and without secrets.

use super::fields::MAX_URL;
use crate::redacted::RedactedUrl;
use serde_json::{Value, json};
use std::borrow::Cow;
use url::Url;

/// Most characters of a value that are repeated in the answer.
pub(super) const MAX_ECHO: usize = 200;

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
        Value::String(text) if text.len() > MAX_URL => start_of_long(text).into(),
        Value::String(text) => match Url::parse(text) {
            Ok(url) if url.has_host() => start_of(&RedactedUrl::new(url).to_string()).into(),
            _ => start_of(&redacted(text)).into(),
        },
        Value::Array(_) => "[…]".into(),
        Value::Object(_) => "{…}".into(),
        other => other.clone(),
    }
}

/// The start of a text that no URL may be as long as. Parsing it would take several times its
/// length, so whatever may have a user and a password in it is not shown at all.
fn start_of_long(text: &str) -> String {
    let plain = text.split(['?', '#']).next().unwrap_or_default();
    match plain.contains('@') {
        true => "[…]".to_owned(),
        false => start_of(plain),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_short_and_no_secret_however_long_the_text_is() {
        let long = "é".repeat(100_000);
        for (text, start) in [
            (long.clone(), "éé"),
            (format!("http://user:secret{long}@h/é"), "[…]"),
            (format!("http:\\\\user:secret@h/{long}"), "[…]"),
            ("http://user:secret@h/é".to_owned(), "http://h/%C3%A9"),
            (format!("http://h/?secret={long}"), "http://h/"),
            (format!("http://h/{long}?secret"), "http://h/é"),
        ] {
            let Value::String(shown) = echo(&text.as_str().into()) else {
                unreachable!("a text is repeated as one");
            };
            assert!(shown.starts_with(start), "{shown}");
            assert!(!shown.contains("secret"), "{shown}");
            assert!(shown.chars().count() <= MAX_ECHO, "{shown}");
        }
    }
}
