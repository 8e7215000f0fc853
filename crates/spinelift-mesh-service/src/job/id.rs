//! The names of jobs.

use std::fmt;
use std::sync::Arc;

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
}
