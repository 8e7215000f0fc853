//! The keys that clients authenticate with.

use sha2::{Digest, Sha256};
use std::fmt;
use std::sync::Arc;
use subtle::{ConditionallySelectable, ConstantTimeEq};

/// Fewest characters of a key: one that can be guessed is none.
const MIN_LENGTH: usize = 16;

/// Most characters of a key's name, which is part of log lines.
const MAX_NAME: usize = 64;

/// Name of a key that was given none.
const UNNAMED: &str = "key";

/// The API keys that are accepted. Only their digests are kept, so nothing can print them.
#[derive(Clone, Default)]
pub struct ApiKeys(Arc<[ApiKey]>);

struct ApiKey {
    id: KeyId,
    digest: [u8; 32],
}

/// What may be shown of a key: its name, and the beginning of its SHA-256.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct KeyId {
    name: Arc<str>,
    fingerprint: [u8; 4],
}

impl ApiKeys {
    /// Reads a list of `KEY` or `NAME:KEY`, separated by commas; an empty text has no keys.
    ///
    /// `None` if a key is too short, twice there or malformed, or if there is nothing but commas.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let entries = text.split(',').map(str::trim);
        let keys: Vec<_> = entries
            .filter(|entry| !entry.is_empty())
            .map(ApiKey::parse)
            .collect::<Option<_>>()?;
        let unique = |(index, key): (usize, &ApiKey)| {
            let mut others = keys[..index].iter();
            others.all(|other| other.digest != key.digest)
        };
        let valid = !keys.is_empty() && keys.iter().enumerate().all(unique);
        valid.then(|| Self(keys.into()))
    }

    /// Whether there are none, and clients need not authenticate.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The key that `presented` is. Each is compared, and in constant time, so that how long it
    /// takes says nothing about any of them.
    pub(super) fn find(&self, presented: &[u8]) -> Option<KeyId> {
        let digest = digest(presented);
        let none = u64::MAX;
        let mut found = none;
        for (index, key) in (0..none).zip(self.0.iter()) {
            found.conditional_assign(&index, key.digest.ct_eq(&digest));
        }
        let key = usize::try_from(found).ok().and_then(|at| self.0.get(at));
        key.map(|key| key.id.clone())
    }
}

impl ApiKey {
    fn parse(entry: &str) -> Option<Self> {
        let (name, key) = entry.split_once(':').unwrap_or((UNNAMED, entry));
        let in_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        let in_key = |byte: u8| byte.is_ascii_graphic() && byte != b':';
        let valid = (1..=MAX_NAME).contains(&name.len())
            && name.bytes().all(in_name)
            && key.len() >= MIN_LENGTH
            && key.bytes().all(in_key);
        let digest = digest(key.as_bytes());
        let mut fingerprint = [0; 4];
        fingerprint.copy_from_slice(&digest[..4]);
        valid.then(|| Self {
            id: KeyId {
                name: name.into(),
                fingerprint,
            },
            digest,
        })
    }
}

fn digest(key: &[u8]) -> [u8; 32] {
    Sha256::digest(key).into()
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = u32::from_be_bytes(self.fingerprint);
        write!(f, "{}#{fingerprint:08x}", self.name)
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for ApiKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(|key| &key.id))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAILS: &str = "0123456789abcdef";
    const OTHER: &str = "another-long-key+/==";

    fn keys(text: &str) -> ApiKeys {
        ApiKeys::parse(text).expect("valid")
    }

    #[test]
    fn each_key_is_found_and_nothing_else() {
        let keys = keys(&format!("rails:{RAILS}, {OTHER},"));
        assert!(!keys.is_empty());
        // The beginning of `sha256sum` of the key.
        let rails = keys.find(RAILS.as_bytes()).expect("known");
        assert_eq!(rails.to_string(), "rails#9f9f5111");
        let other = keys.find(OTHER.as_bytes()).expect("known");
        assert!(other.to_string().starts_with("key#"));
        for unknown in ["", "0123456789abcde", "0123456789abcdef0", "rails"] {
            assert_eq!(keys.find(unknown.as_bytes()), None, "{unknown}");
        }
    }

    #[test]
    fn no_text_is_no_keys_but_commas_alone_are_a_mistake() {
        assert!(keys("").is_empty() && keys(" ").is_empty());
        assert_eq!(keys("").find(b""), None);
        assert!(ApiKeys::parse(",").is_none());
    }

    #[test]
    fn keys_that_are_no_keys_are_refused() {
        for bad in [
            "0123456789abcde".to_owned(),
            "rails:0123456789abcde".to_owned(),
            format!("{RAILS},short"),
            format!(":{RAILS}"),
            format!("a b:{RAILS}"),
            format!("a:b:{RAILS}"),
            format!("{}:{RAILS}", "x".repeat(65)),
            format!("a:{RAILS},b:{RAILS}"),
            format!("{RAILS} {RAILS}"),
            format!("{RAILS}é"),
        ] {
            assert!(ApiKeys::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn keys_are_not_printed() {
        let text = format!("{:?}", keys(&format!("rails:{RAILS}")));
        assert_eq!(text, "[rails#9f9f5111]");
    }
}
