//! Why an image could not be loaded.

use super::deadline::{Late, Stage};
use super::retry::LONGEST_DELAY;
use crate::address::{ObjectRefused, Outbound, Refused, ResolveError, Unreachable};
use crate::job::JobError;
use crate::memory::TooLarge;
use crate::redacted::RedactedUrl;
use crate::request::MAX_URL;
use serde_json::{Value, json};
use spinelift_mesh::MeshError;
use spinelift_mesh::error::ImageLoadError;
use std::error::Error;
use std::fmt;
use std::time::Duration;

/// Most characters of what an S3 server says that are repeated.
const LONGEST_CAUSE: usize = 200;

/// Why an image could not be loaded, and whether another try may help.
#[derive(Debug)]
pub(crate) struct SourceError {
    url: RedactedUrl,
    fault: Fault,
    tries: u32,
}

/// What went wrong.
#[derive(Debug)]
pub(super) enum Fault {
    /// A status without an image; for 429 and 503, when the server wants to be asked again.
    Status {
        status: u16,
        retry_after: Option<Duration>,
    },
    Late(Late),
    Name(ResolveError),
    Connect(String),
    Broken(String),
    /// The answer is no HTTP.
    Malformed(String),
    /// The body is shorter or longer than the server said.
    Length {
        announced: u64,
        received: u64,
    },
    Encoded(String),
    NoImage(ImageLoadError),
    TooLarge(usize),
    TooManyRedirects(usize),
    BadRedirect(String),
    LongRedirect,
    Refused(Refused),
    Memory(TooLarge),
    /// The S3 server failed, in its words.
    Object(String),
    /// An object that images are not read from, any more.
    ObjectRefused(ObjectRefused),
}

impl Fault {
    pub(super) fn transport(error: &reqwest::Error) -> Self {
        match Outbound::unreachable(error) {
            Some(Unreachable::Refused(refused)) => return Fault::Refused(refused),
            Some(Unreachable::Name(ResolveError::TimedOut { limit, .. })) => {
                let stage = Stage::Dns;
                return Fault::Late(Late { stage, limit });
            }
            Some(Unreachable::Name(name)) => return Fault::Name(name),
            Some(Unreachable::TimedOut(limit)) => {
                let stage = Stage::Connect;
                return Fault::Late(Late { stage, limit });
            }
            None => {}
        }
        let (cause, is_parse) = root_cause(error);
        if error.is_connect() {
            Fault::Connect(cause)
        } else if is_parse {
            Fault::Malformed(cause)
        } else {
            Fault::Broken(cause)
        }
    }

    /// Whether the next try may succeed.
    fn may_pass(&self) -> bool {
        match self {
            Fault::Status {
                status,
                retry_after,
            } => {
                let soon = retry_after.is_none_or(|delay| delay <= LONGEST_DELAY);
                (*status == 429 || *status >= 500) && soon
            }
            // A server that drips would drip again.
            Fault::Late(late) => !matches!(late.stage, Stage::Download | Stage::AllTries),
            Fault::Name(error) => error.may_pass(),
            Fault::Connect(_) | Fault::Broken(_) | Fault::Object(_) => true,
            // Cut short, as by a broken connection.
            Fault::Length {
                announced,
                received,
            } => received < announced,
            Fault::Malformed(_)
            | Fault::Encoded(_)
            | Fault::NoImage(_)
            | Fault::TooLarge(_)
            | Fault::TooManyRedirects(_)
            | Fault::BadRedirect(_)
            | Fault::LongRedirect
            | Fault::Refused(_)
            | Fault::ObjectRefused(_)
            | Fault::Memory(_) => false,
        }
    }

    fn details(&self) -> Value {
        match self {
            Fault::Status {
                status,
                retry_after,
            } => {
                let mut details = json!({ "reason": "http_status", "status": status });
                if let Some(delay) = retry_after {
                    details["retry_after_seconds"] = delay.as_secs().into();
                }
                details
            }
            Fault::Late(late) => json!({
                "reason": "timeout",
                "stage": late.stage.name(),
                "setting": late.stage.setting(),
                "timeout_seconds": late.limit.as_secs_f64(),
            }),
            Fault::Name(_) => json!({ "reason": "connect", "stage": "dns" }),
            Fault::Connect(_) => json!({ "reason": "connect", "stage": "connect" }),
            Fault::Broken(_) => json!({ "reason": "connection_broken" }),
            Fault::Malformed(_) => json!({ "reason": "malformed_answer" }),
            Fault::Length {
                announced,
                received,
            } => {
                json!({ "reason": "wrong_length", "announced": announced, "received": received })
            }
            Fault::Encoded(encoding) => {
                json!({ "reason": "content_encoding", "content_encoding": encoding })
            }
            // The details of the library, which would have said the same of the whole file.
            Fault::NoImage(error) => JobError::from(MeshError::from(error.clone())).details,
            Fault::TooLarge(limit) => {
                json!({ "reason": "too_many_bytes", "max_image_bytes": limit })
            }
            Fault::TooManyRedirects(limit) => {
                json!({ "reason": "too_many_redirects", "max_redirects": limit })
            }
            Fault::BadRedirect(_) => json!({ "reason": "redirect_scheme" }),
            Fault::LongRedirect => json!({ "reason": "redirect_too_long", "max_bytes": MAX_URL }),
            Fault::Refused(_) | Fault::ObjectRefused(_) => {
                json!({ "reason": "address_not_allowed" })
            }
            Fault::Object(_) => json!({ "reason": "s3_error" }),
            Fault::Memory(error) => json!({
                "reason": "memory_budget",
                "needed": error.needed,
                "available": error.available,
            }),
        }
    }
}

impl SourceError {
    pub(super) fn new(url: &RedactedUrl, fault: Fault) -> Self {
        Self {
            url: url.clone(),
            fault,
            tries: 1,
        }
    }

    /// The same, after a number of tries.
    pub(super) fn after(mut self, tries: u32) -> Self {
        self.tries = tries;
        self
    }

    /// Whether the next try may succeed.
    pub(crate) fn may_pass(&self) -> bool {
        self.fault.may_pass()
    }

    /// How long the server wants to be left alone.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match &self.fault {
            Fault::Status { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    fn details(&self) -> Value {
        let mut details = self.fault.details();
        details["url"] = self.url.to_string().into();
        details["tries"] = self.tries.into();
        details
    }
}

/// The last error of a chain: the others only say that the request failed, with the URL. And
/// whether the answer could not be read as one.
fn root_cause(error: &reqwest::Error) -> (String, bool) {
    let mut cause: &dyn Error = error;
    let mut is_parse = false;
    while let Some(source) = cause.source() {
        cause = source;
        let hyper = cause.downcast_ref::<hyper::Error>();
        is_parse |= hyper.is_some_and(hyper::Error::is_parse);
    }
    if std::ptr::addr_eq(cause, error) {
        ("the connection failed".to_owned(), is_parse)
    } else {
        (cause.to_string(), is_parse)
    }
}

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Failed to load image: {} ", self.url)?;
        match &self.fault {
            Fault::Status {
                status,
                retry_after,
            } => {
                write!(f, "answered with HTTP status {status}")?;
                match retry_after.filter(|delay| *delay > LONGEST_DELAY) {
                    Some(delay) => {
                        write!(f, " and is not to be asked again for {} s", delay.as_secs())
                    }
                    None => Ok(()),
                }
            }
            Fault::Late(Late { stage, limit }) => {
                let (failure, setting) = (stage.failure(), stage.setting());
                write!(f, "{failure} within {} s ({setting})", limit.as_secs_f64())
            }
            Fault::Name(error) => write!(f, "could not be found: {error}"),
            Fault::Connect(cause) => write!(f, "could not be connected to: {cause}"),
            Fault::Broken(cause) => write!(f, "broke the connection: {cause}"),
            Fault::Malformed(cause) => write!(f, "did not answer with HTTP: {cause}"),
            Fault::Length {
                announced,
                received,
            } => {
                let word = if received < announced {
                    "only"
                } else {
                    "at least"
                };
                write!(f, "announced {announced} bytes and sent {word} {received}")
            }
            Fault::Encoded(encoding) => write!(
                f,
                "came with Content-Encoding {encoding:?}, which was not asked for; \
                 images are taken as they are"
            ),
            Fault::NoImage(error) => write!(f, "cannot be used: {error}"),
            Fault::TooLarge(limit) => write!(f, "is larger than the {limit} bytes allowed"),
            Fault::TooManyRedirects(limit) => write!(f, "was redirected more than {limit} times"),
            Fault::BadRedirect(scheme) => {
                write!(
                    f,
                    "redirects to a {scheme}: URL; only http and https are followed"
                )
            }
            Fault::LongRedirect => {
                write!(f, "redirects to a URL of more than {MAX_URL} bytes")
            }
            Fault::Refused(refused) => write!(f, "was refused: {refused}"),
            Fault::ObjectRefused(refused) => write!(f, "was refused: {refused}"),
            Fault::Object(cause) => write!(f, "could not be read: {}", start_of(cause)),
            Fault::Memory(error) => write!(f, "does not fit: {error}"),
        }
    }
}

/// Servers may answer with whole pages.
fn start_of(text: &str) -> &str {
    let end = text.char_indices().nth(LONGEST_CAUSE);
    end.map_or(text, |(end, _)| &text[..end])
}

impl Error for SourceError {}

impl From<SourceError> for JobError {
    fn from(error: SourceError) -> Self {
        JobError::new("IMAGE_LOAD_FAILED", error.to_string(), error.details())
    }
}
