//! What a job is to do.

use crate::redacted::RedactedUrl;
use serde::{Deserialize, Serialize};
use spinelift_mesh::MeshParameters;
use url::Url;

/// What a job is to do, normalized: two requests are the same if these are equal.
#[derive(Debug, Clone, PartialEq)]
pub struct JobRequest {
    /// Where the image is.
    pub source: Source,
    /// The nine parameters and the optional ones, checked.
    pub parameters: MeshParameters,
    /// Where progress is to be sent.
    pub callback_url: Option<RedactedUrl>,
}

/// Where an image comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A server.
    Url(RedactedUrl),
    /// The client: its bytes came with the request and are in the storage.
    Upload {
        /// The SHA-256 of the bytes, in hexadecimal.
        digest: String,
    },
}

impl Source {
    /// The server that the image comes from, by its host, or its bucket; empty for none. Jobs that
    /// share one share its lanes.
    #[must_use]
    pub fn server(&self) -> String {
        match self {
            Source::Url(url) => url.server(),
            Source::Upload { .. } => String::new(),
        }
    }

    /// Whether the image came along, and its bytes have this SHA-256.
    pub(crate) fn is_upload(&self, sha256: &str) -> bool {
        matches!(self, Source::Upload { digest } if digest == sha256)
    }
}

/// [`JobRequest`] as it is stored: with the secrets in its URLs, which the job needs.
#[derive(Serialize, Deserialize)]
struct StoredRequest {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    upload: Option<String>,
    parameters: MeshParameters,
    callback_url: Option<String>,
}

impl JobRequest {
    /// The program that its end is to be told to, by its host and port.
    #[must_use]
    pub fn receiver(&self) -> Option<String> {
        self.callback_url.as_ref().map(RedactedUrl::receiver)
    }

    /// The form in which an engine keeps it. It holds the URLs' secrets.
    #[must_use]
    pub fn to_stored(&self) -> String {
        let (image_url, upload) = match &self.source {
            Source::Url(url) => (Some(url.reveal().to_string()), None),
            Source::Upload { digest } => (None, Some(digest.clone())),
        };
        let stored = StoredRequest {
            image_url,
            upload,
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
        let source = match (stored.image_url, stored.upload) {
            (Some(text), None) => Source::Url(url(text)?),
            (None, Some(digest)) => Source::Upload { digest },
            _ => return Err("neither one image_url nor one upload".to_owned()),
        };
        Ok(Self {
            source,
            parameters: stored.parameters,
            callback_url: stored.callback_url.map(url).transpose()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> RedactedUrl {
        RedactedUrl::new(Url::parse(text).expect("valid"))
    }

    #[test]
    fn a_request_survives_being_stored_secrets_and_all() {
        for source in [
            Source::Url(url("https://u:p@h/x.png?s=1")),
            Source::Upload {
                digest: "ab".repeat(32),
            },
        ] {
            let request = JobRequest {
                source,
                parameters: MeshParameters::default(),
                callback_url: Some(url("http://h/cb?t=2")),
            };
            assert_eq!(JobRequest::from_stored(&request.to_stored()), Ok(request));
        }
    }

    #[test]
    fn options_survive_being_stored_and_defaults_are_stored_as_ever() {
        let mut request = JobRequest {
            source: Source::Url(url("http://h/x.png")),
            parameters: MeshParameters::default(),
            callback_url: None,
        };
        let stored = request.to_stored();
        for name in ["outline", "interior", "deadline_ms"] {
            assert!(!stored.contains(name), "{stored}");
        }
        request.parameters = MeshParameters::COVER;
        request.parameters.outline.max_overdraw = Some(1.1);
        request.parameters.interior.vertices = Some(60);
        request.parameters.deadline_ms = Some(50);
        assert_eq!(JobRequest::from_stored(&request.to_stored()), Ok(request));
    }

    #[test]
    fn a_server_is_a_host_whatever_the_port() {
        for same in ["https://H/x", "http://h:81/x", "http://u@h.:82/y"] {
            assert_eq!(Source::Url(url(same)).server(), "h", "{same}");
        }
        assert_eq!(Source::Url(url("http://[::1]:81/x")).server(), "[::1]");
        assert_eq!(Source::Url(url("s3://bucket/x")).server(), "s3://bucket");
        let digest = String::new();
        assert_eq!(Source::Upload { digest }.server(), "");
    }
}
