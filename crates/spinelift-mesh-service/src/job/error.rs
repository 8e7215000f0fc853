//! Why jobs fail.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spinelift_mesh::MeshError;
use std::borrow::Cow;
use utoipa::ToSchema;

/// Why a job failed: the `error` object of the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobError {
    /// A stable name for programs.
    #[schema(value_type = String, example = "CONTOUR_EXTRACTION_FAILED")]
    pub code: Cow<'static, str>,
    /// What happened, for people.
    pub message: String,
    /// The numbers behind the message.
    #[schema(value_type = Object)]
    pub details: Value,
}

/// Longest message, and longest text in the details, in bytes. Errors quote what servers say, and
/// are stored, logged, listed and sent.
const MAX_TEXT: usize = 1024;

impl JobError {
    /// A new error; texts that are too long are cut off.
    pub fn new(code: &'static str, message: impl Into<String>, mut details: Value) -> Self {
        let mut message = message.into();
        cut(&mut message);
        cut_texts(&mut details);
        Self {
            code: Cow::Borrowed(code),
            message,
            details,
        }
    }

    /// A defect of ours; what exactly is in the log.
    #[must_use]
    pub fn internal() -> Self {
        Self::new(
            "INTERNAL_ERROR",
            "The job failed because of a defect in the service; it has been logged",
            json!({}),
        )
    }

    /// Somebody wanted it no more.
    #[must_use]
    pub fn cancelled() -> Self {
        Self::new("JOB_CANCELLED", "The job was cancelled", json!({}))
    }

    /// Every attempt ended with the process, none with a result.
    #[must_use]
    pub fn attempts_exhausted(attempts: u32) -> Self {
        Self::new(
            "ATTEMPTS_EXHAUSTED",
            format!("The service stopped during each of the {attempts} attempts to run this job"),
            json!({ "attempts": attempts }),
        )
    }
}

impl From<MeshError> for JobError {
    fn from(error: MeshError) -> Self {
        let mut details = error.details();
        if let Some(object) = details.as_object_mut() {
            object.insert("advice".into(), error.advice().into());
        }
        Self::new(error.code(), error.to_string(), details)
    }
}

fn cut_texts(value: &mut Value) {
    match value {
        Value::String(text) => cut(text),
        Value::Array(values) => values.iter_mut().for_each(cut_texts),
        Value::Object(object) => object.values_mut().for_each(cut_texts),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn cut(text: &mut String) {
    const MARK: &str = "…";
    if text.len() > MAX_TEXT {
        text.truncate(text.floor_char_boundary(MAX_TEXT - MARK.len()));
        text.push_str(MARK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_cut_off() {
        let long = "é".repeat(300_000);
        let details = json!({ "url": long, "all": [{ "inner": long }], "status": 500 });
        let error = JobError::new("IMAGE_LOAD_FAILED", format!("x{long}"), details);
        assert!((1022..=1024).contains(&error.message.len()));
        assert!(error.message.ends_with("é…"));
        assert!(error.details.to_string().len() < 2200);
        assert_eq!(error.details["status"], 500);
        let short = "s".repeat(1024);
        assert_eq!(JobError::new("C", short.clone(), json!({})).message, short);
    }
}
