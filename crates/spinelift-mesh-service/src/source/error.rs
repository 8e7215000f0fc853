//! Why an image could not be loaded.

use crate::address::{Outbound, Refused, Unreachable};
use crate::job::JobError;
use crate::redacted::RedactedUrl;
use serde_json::{Value, json};
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Why an image could not be loaded, and whether another try may help.
#[derive(Debug)]
pub(crate) struct SourceError {
    url: RedactedUrl,
    fault: Fault,
    tries: u32,
}

#[derive(Debug)]
enum Fault {
    Status(u16),
    Timeout(Duration),
    Connect(String),
    Broken(String),
    TooLarge(usize),
    TooManyRedirects(usize),
    BadRedirect(String),
    Refused(Refused),
}

impl SourceError {
    fn new(url: &RedactedUrl, fault: Fault) -> Self {
        Self {
            url: url.clone(),
            fault,
            tries: 1,
        }
    }

    pub(super) fn status(url: &RedactedUrl, status: u16) -> Self {
        Self::new(url, Fault::Status(status))
    }

    pub(super) fn timeout(url: &RedactedUrl, limit: Duration) -> Self {
        Self::new(url, Fault::Timeout(limit))
    }

    pub(super) fn too_large(url: &RedactedUrl, limit: usize) -> Self {
        Self::new(url, Fault::TooLarge(limit))
    }

    pub(super) fn too_many_redirects(url: &RedactedUrl, limit: usize) -> Self {
        Self::new(url, Fault::TooManyRedirects(limit))
    }

    pub(super) fn bad_redirect(url: &RedactedUrl, scheme: &str) -> Self {
        Self::new(url, Fault::BadRedirect(scheme.to_owned()))
    }

    pub(super) fn refused(url: &RedactedUrl, refused: &Refused) -> Self {
        Self::new(url, Fault::Refused(refused.clone()))
    }

    pub(super) fn transport(url: &RedactedUrl, error: &reqwest::Error) -> Self {
        if let Some(Unreachable::Refused(refused)) = Outbound::unreachable(error) {
            return Self::refused(url, &refused);
        }
        let fault = if error.is_connect() || error.is_dns() {
            Fault::Connect(root_cause(error))
        } else {
            Fault::Broken(root_cause(error))
        };
        Self::new(url, fault)
    }

    /// The same, after a number of tries.
    pub(super) fn after(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// Whether the next try may succeed.
    pub(super) fn is_transient(&self) -> bool {
        match &self.fault {
            Fault::Status(status) => *status == 429 || *status >= 500,
            Fault::Timeout(_) | Fault::Connect(_) | Fault::Broken(_) => true,
            Fault::TooLarge(_)
            | Fault::TooManyRedirects(_)
            | Fault::BadRedirect(_)
            | Fault::Refused(_) => false,
        }
    }

    fn details(&self) -> Value {
        let mut details = match &self.fault {
            Fault::Status(status) => json!({ "reason": "http_status", "status": status }),
            Fault::Timeout(limit) => {
                json!({ "reason": "timeout", "timeout_seconds": limit.as_secs_f64() })
            }
            Fault::Connect(_) => json!({ "reason": "connect" }),
            Fault::Broken(_) => json!({ "reason": "connection_broken" }),
            Fault::TooLarge(limit) => {
                json!({ "reason": "too_many_bytes", "max_image_bytes": limit })
            }
            Fault::TooManyRedirects(limit) => {
                json!({ "reason": "too_many_redirects", "max_redirects": limit })
            }
            Fault::BadRedirect(_) => json!({ "reason": "redirect_scheme" }),
            Fault::Refused(_) => json!({ "reason": "address_not_allowed" }),
        };
        details["url"] = self.url.to_string().into();
        details["tries"] = self.tries.into();
        details
    }
}

/// The last error of a chain: the others only say that the request failed, with the URL.
fn root_cause(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    if std::ptr::addr_eq(cause, error) {
        "the connection failed".to_owned()
    } else {
        cause.to_string()
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failed to load image: {} ", self.url)?;
        match &self.fault {
            Fault::Status(status) => write!(f, "answered with HTTP status {status}"),
            Fault::Timeout(limit) => {
                write!(f, "did not answer within {} s", limit.as_secs_f64())
            }
            Fault::Connect(cause) => write!(f, "could not be connected to: {cause}"),
            Fault::Broken(cause) => write!(f, "broke the connection: {cause}"),
            Fault::TooLarge(limit) => write!(f, "is larger than the {limit} bytes allowed"),
            Fault::TooManyRedirects(limit) => write!(f, "was redirected more than {limit} times"),
            Fault::BadRedirect(scheme) => {
                write!(
                    f,
                    "redirects to a {scheme}: URL; only http and https are followed"
                )
            }
            Fault::Refused(refused) => write!(f, "was refused: {refused}"),
        }
    }
}

impl Error for SourceError {}

impl From<SourceError> for JobError {
    fn from(error: SourceError) -> Self {
        JobError::new("IMAGE_LOAD_FAILED", error.to_string(), error.details())
    }
}
