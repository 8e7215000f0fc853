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

impl JobError {
    /// A new error.
    pub fn new(code: &'static str, message: impl Into<String>, details: Value) -> Self {
        Self {
            code: Cow::Borrowed(code),
            message: message.into(),
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
