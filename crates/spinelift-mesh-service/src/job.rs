//! A job: what was asked for, and how far it has come.

use crate::redacted::RedactedUrl;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use spinelift_mesh::{MeshError, MeshParameters, Step};
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use url::Url;

/// The name of a job, given by the client or made here (`UUIDv7`).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(Arc<str>);

impl JobId {
    /// Longest id, in characters.
    pub const MAX_LENGTH: usize = 128;

    /// Checks a name given by a client.
    ///
    /// # Errors
    /// See [`InvalidJobId`].
    pub fn parse(text: &str) -> Result<Self, InvalidJobId> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._~:-".contains(&byte);
        let well_formed = (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed);
        // `.` and `..` are path segments with a meaning of their own: no client could ever ask
        // for the status of such a job.
        if well_formed && text != "." && text != ".." {
            Ok(Self(text.into()))
        } else {
            Err(InvalidJobId)
        }
    }

    /// A new unique id; later ones sort after earlier ones.
    #[must_use]
    pub fn generate() -> Self {
        Self(uuid::Uuid::now_v7().to_string().into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text is no [`JobId`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be 1 to 128 characters, each a letter A-Z or a-z, a digit or one of . _ ~ : - \
     (and not \".\" or \"..\", which URLs cannot carry)"
)]
pub struct InvalidJobId;

/// What a job is to do, normalized: two requests are the same if these are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// Where the image is.
    pub image_url: RedactedUrl,
    /// The nine parameters, checked.
    pub parameters: MeshParameters,
    /// Where progress is to be sent.
    pub callback_url: Option<RedactedUrl>,
}

/// [`JobRequest`] as it is stored: with the secrets in its URLs, which the job needs.
#[derive(Serialize, Deserialize)]
struct StoredRequest {
    image_url: String,
    parameters: MeshParameters,
    callback_url: Option<String>,
}

impl JobRequest {
    /// The form in which an engine keeps it. It holds the URLs' secrets.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let stored = StoredRequest {
            image_url: self.image_url.reveal().to_string(),
            parameters: self.parameters,
            callback_url: self
                .callback_url
                .as_ref()
                .map(|url| url.reveal().to_string()),
        };
        serde_json::to_string(&stored)
            .unwrap_or_else(|_| unreachable!("strings and numbers always serialize"))
    }

    /// Reads back what [`to_stored`](Self::to_stored) wrote.
    ///
    /// # Errors
    /// The text is something else; the reason as text.
    pub fn from_stored(text: &str) -> Result<Self, String> {
        let stored: StoredRequest = serde_json::from_str(text).map_err(|e| e.to_string())?;
        let url = |text: String| {
            Url::parse(&text)
                .map(RedactedUrl::new)
                .map_err(|error| error.to_string())
        };
        Ok(Self {
            image_url: url(stored.image_url)?,
            parameters: stored.parameters,
            callback_url: stored.callback_url.map(url).transpose()?,
        })
    }
}

/// How far a job has come, in the words of the contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100.
    pub percent: u8,
    /// What is being done.
    pub message: Cow<'static, str>,
}

impl Progress {
    /// Waiting for a worker.
    pub const QUEUED: Progress = Progress {
        percent: 0,
        message: Cow::Borrowed("Queued"),
    };

    /// Taken by a worker; no step has begun.
    pub const STARTED: Progress = Progress {
        percent: 0,
        message: Cow::Borrowed("Starting..."),
    };
}

impl From<Step> for Progress {
    fn from(step: Step) -> Self {
        Progress {
            percent: step.percent(),
            message: Cow::Borrowed(step.message()),
        }
    }
}

/// Why a job failed: the `error` object of the contract.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobError {
    /// A stable name for programs.
    pub code: Cow<'static, str>,
    /// What happened, for people.
    pub message: String,
    /// The numbers behind the message.
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

/// Where a job stands.
#[derive(Debug, Clone, PartialEq)]
pub enum JobState {
    /// Accepted, waiting for a worker.
    Queued,
    /// A worker has it.
    Running,
    /// The result is stored.
    Completed,
    /// There will be no result.
    Failed(JobError),
}

impl JobState {
    /// The contract's word for it; waiting and running are one to clients.
    #[must_use]
    pub fn status(&self) -> &'static str {
        match self {
            JobState::Queued | JobState::Running => "processing",
            JobState::Completed => "completed",
            JobState::Failed(_) => "failed",
        }
    }
}

/// One job, as an engine knows it.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// Its name.
    pub id: JobId,
    /// What it is to do.
    pub request: JobRequest,
    /// `http://host:port` under which the client reached us when it was accepted.
    pub base_url: String,
    /// Where it stands.
    pub state: JobState,
    /// How far it has come.
    pub progress: Progress,
    /// How often it was started.
    pub attempts: u32,
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_hold_only_what_a_url_segment_can_carry() {
        for good in ["a", "a..b", "...", "A-b_c.d~e:f", &"x".repeat(128)] {
            assert_eq!(JobId::parse(good).expect(good).as_str(), good);
        }
        for bad in [
            "",
            ".",
            "..",
            "a/b",
            "a b",
            "é",
            "a\0",
            "%2e",
            &"x".repeat(129),
        ] {
            assert_eq!(JobId::parse(bad), Err(InvalidJobId), "{bad:?}");
        }
        assert!(JobId::parse(JobId::generate().as_str()).is_ok());
    }

    #[test]
    fn a_request_survives_being_stored_secrets_and_all() {
        let request = JobRequest {
            image_url: RedactedUrl::new(Url::parse("https://u:p@h/x.png?s=1").expect("valid")),
            parameters: MeshParameters::default(),
            callback_url: Some(RedactedUrl::new(
                Url::parse("http://h/cb?t=2").expect("valid"),
            )),
        };
        assert_eq!(JobRequest::from_stored(&request.to_stored()), Ok(request));
    }
}
