//! Which S3 buckets images may come from.

use object_store::path::Path as Key;
use std::fmt;
use url::Url;

/// A bucket, or the part of it below a prefix, that images may come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedBucket {
    bucket: String,
    prefix: String,
}

impl AllowedBucket {
    /// Reads `bucket` or `bucket/prefix/`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        // `sprites` would cover `sprites-of-others`, too.
        let is_whole = prefix.is_empty() || prefix.ends_with('/');
        let is_key = Key::parse(prefix).is_ok() && !prefix.starts_with('/');
        (is_whole && is_key && is_bucket(bucket)).then(|| Self {
            bucket: bucket.to_owned(),
            prefix: prefix.to_owned(),
        })
    }

    /// The bucket.
    pub(crate) fn bucket(&self) -> &str {
        &self.bucket
    }

    pub(super) fn covers(&self, object: &ObjectAddress) -> bool {
        self.bucket == object.bucket && object.key.as_ref().starts_with(&self.prefix)
    }
}

impl fmt::Display for AllowedBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.bucket)?;
        match self.prefix.is_empty() {
            true => Ok(()),
            false => write!(f, "/{}", self.prefix),
        }
    }
}

/// Whether this can be the name of a bucket.
pub(crate) fn is_bucket(text: &str) -> bool {
    let allowed =
        |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-.".contains(&byte);
    (3..=63).contains(&text.len())
        && text.bytes().all(allowed)
        && text.as_bytes()[0].is_ascii_alphanumeric()
        && !text.contains("..")
}

/// An object in a bucket. The key is what the store is asked for, to the byte: what is judged here
/// is what is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ObjectAddress {
    pub(crate) bucket: String,
    pub(crate) key: Key,
}

/// An object that images are not read from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ObjectRefused {
    /// The URL names no object.
    #[error(
        "an s3 URL is s3://bucket/key, with % for what is no plain character; it has no user, \
         port, query and fragment, and its key has no empty, `.` or `..` part"
    )]
    Malformed,
    /// The setting does not name the bucket, or not this part of it.
    #[error(
        "images are read from S3 only where the setting ALLOWED_S3_BUCKETS says so, and it does \
         not name this place in the bucket {bucket}"
    )]
    NotAllowed {
        /// The bucket.
        bucket: String,
    },
}

impl ObjectAddress {
    pub(super) fn read(url: &Url) -> Result<Self, ObjectRefused> {
        let bare = url.username().is_empty()
            && url.password().is_none()
            && url.port().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        let bucket = url.host_str().filter(|host| bare && is_bucket(host));
        // Decoded once; a `/` at the end or one too many at the beginning would not be part of it.
        let key = Key::from_url_path(url.path()).ok();
        let key = key.filter(|key| !key.as_ref().is_empty() && !url.path().ends_with('/'));
        match (bucket, key) {
            (Some(bucket), Some(key)) => Ok(Self {
                bucket: bucket.to_owned(),
                key,
            }),
            _ => Err(ObjectRefused::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::AddressPolicy;
    use super::*;

    fn policy(buckets: &[&str]) -> AddressPolicy {
        let buckets = buckets.iter().map(|text| AllowedBucket::parse(text));
        let buckets = buckets.collect::<Option<_>>().expect("valid");
        AddressPolicy::new(Vec::new()).with_buckets(buckets)
    }

    fn key(policy: &AddressPolicy, url: &str) -> Result<String, ObjectRefused> {
        let url = Url::parse(url).expect("a URL");
        policy.object(&url).map(|object| object.key.to_string())
    }

    #[test]
    fn only_buckets_and_prefixes_that_are_named_are_read() {
        let policy = policy(&["sprites", "shared/game/art/"]);
        for (url, expected) in [
            ("s3://sprites/a.png", Some("a.png")),
            ("s3://sprites/a/b%20c/%C3%BC.png", Some("a/b c/ü.png")),
            ("s3://shared/game/art/x.png", Some("game/art/x.png")),
            ("s3://shared/game%2Fart/x.png", Some("game/art/x.png")),
            (
                "s3://shared/game/art/%252e%252e/x.png",
                Some("game/art/%2e%2e/x.png"),
            ),
            ("s3://shared/game/artful.png", None),
            ("s3://shared/game/art", None),
            ("s3://shared/secret/x.png", None),
            ("s3://other/a.png", None),
            ("s3://sprites-of-others/a.png", None),
        ] {
            let found = key(&policy, url);
            assert_eq!(found.as_deref().ok(), expected, "{url}");
            if let Err(error) = found {
                assert!(
                    error.to_string().contains("ALLOWED_S3_BUCKETS"),
                    "{url}: {error}"
                );
            }
        }
    }

    #[test]
    fn no_trick_leads_out_of_a_prefix() {
        let policy = policy(&["shared/art/"]);
        for url in [
            "s3://shared/art/../secret.png",
            "s3://shared/art/%2e%2e/secret.png",
            "s3://shared/art/%2E./secret.png",
            "s3://shared/art%2F..%2Fsecret.png",
            "s3://shared/art/x/..%2f..%2fsecret.png",
            "s3://shared/art//secret.png",
            "s3://shared//art/secret.png",
            "s3://shared/%2Fart/secret.png",
            "s3://shared/art/./%2e/x.png%00",
            "s3://shared/art/%ff.png",
            "s3://shared/art/",
            "s3://shared/art/x/",
            "s3://shared/",
            "s3://shared",
            "s3://shared/art/x.png?versionId=1",
            "s3://shared/art/x.png#a",
            "s3://user@shared/art/x.png",
            "s3://user:pass@shared/art/x.png",
            "s3://shared:80/art/x.png",
            "s3://SHARED/art/x.png",
            "s3:///art/x.png",
            "s3:shared/art/x.png",
            "s3://sh%61red/art/x.png",
        ] {
            assert!(key(&policy, url).is_err(), "{url}");
        }
    }

    #[test]
    fn buckets_are_read_as_they_are_written() {
        for good in ["abc", "a-b.c", "abc/x/", "abc/x/y/"] {
            let parsed = AllowedBucket::parse(good).expect(good);
            assert_eq!(parsed.to_string(), good);
        }
        for bad in [
            "", "ab", "Abc", "abc/x", "abc//", "abc/../", "s3://abc", "a_c", "a..b", "*",
        ] {
            assert_eq!(AllowedBucket::parse(bad), None, "{bad}");
        }
    }
}
