//! Secrets, and URLs that may carry them: neither can be printed by accident.

use std::fmt;
use url::Url;

/// A URL whose `Display` and `Debug` leave out user, password, query and fragment: those hold
/// credentials and signatures, and logs and error messages travel.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedUrl(Url);

impl RedactedUrl {
    /// Wraps a URL.
    #[must_use]
    pub fn new(url: Url) -> Self {
        Self(url)
    }

    /// The server, by its host: one machine has many ports, and a name may end in a dot. Of an
    /// object in S3 its bucket, as `s3://bucket`.
    #[must_use]
    pub fn server(&self) -> String {
        let host = self.0.host_str().unwrap_or_default();
        match self.0.scheme() {
            "s3" => format!("s3://{host}"),
            _ => host.strip_suffix('.').unwrap_or(host).to_owned(),
        }
    }

    /// The program behind it, by host and port: two on one machine may be two applications.
    #[must_use]
    pub fn receiver(&self) -> String {
        match self.0.port_or_known_default() {
            Some(port) => format!("{}:{port}", self.server()),
            None => self.server(),
        }
    }

    /// The whole URL, secrets included: to connect with or to store, never to print.
    #[must_use]
    pub fn reveal(&self) -> &Url {
        &self.0
    }
}

impl fmt::Display for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = &self.0;
        write!(f, "{}://{}", url.scheme(), url.host_str().unwrap_or(""))?;
        if let Some(port) = url.port() {
            write!(f, ":{port}")?;
        }
        f.write_str(url.path())?;
        if url.query().is_some() {
            f.write_str("?[redacted]")?;
        }
        Ok(())
    }
}

impl fmt::Debug for RedactedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is a secret: its `Debug` does not show it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: impl Into<String>) -> Self {
        Self(secret.into())
    }

    /// The secret itself: to sign or to authenticate with, never to print.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[secret]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_printed() {
        let secret = Secret::new("hush");
        assert_eq!(format!("{secret:?}"), "[secret]");
        assert_eq!(secret.reveal(), "hush");
    }

    #[test]
    fn secrets_are_not_printed() {
        let url = Url::parse("https://user:pass@host.example:8443/a.png?X-Sig=secret#frag")
            .expect("valid");
        let redacted = RedactedUrl::new(url.clone());
        let shown = "https://host.example:8443/a.png?[redacted]";
        assert_eq!(redacted.to_string(), shown);
        assert_eq!(format!("{redacted:?}"), shown);
        assert_eq!(redacted.reveal(), &url);
    }
}
