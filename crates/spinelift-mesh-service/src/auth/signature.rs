//! Signatures in URLs: whoever was given the URL may fetch what it names, for a while.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const EXPIRES: &str = "expires";
const SIGNATURE: &str = "signature";

/// Bytes of a signing key.
const SIGNING_KEY: usize = 32;

/// Signs paths, and checks what it signed.
#[derive(Clone)]
pub(crate) struct UrlSigner {
    key: Arc<[u8; SIGNING_KEY]>,
    lifetime: Duration,
}

/// Why a signed path is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SignatureError {
    /// It was ours, and is too old.
    Expired,
    /// It was never ours, or is for another path or time.
    Invalid,
}

impl UrlSigner {
    /// Signatures that are good for `lifetime`, the setting `RESULT_URL_TTL`.
    pub(crate) fn new(key: [u8; SIGNING_KEY], lifetime: Duration) -> Self {
        Self {
            key: Arc::new(key),
            lifetime,
        }
    }

    /// The query that makes a path a signed one.
    pub(crate) fn query(&self, path: &str, now: SystemTime) -> String {
        let expires = seconds(now).saturating_add(self.lifetime.as_secs());
        let mut query = format!("{EXPIRES}={expires}&{SIGNATURE}=");
        for byte in self.mac(path, expires).finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(query, "{byte:02x}");
        }
        query
    }

    /// Checks the query of a path.
    pub(crate) fn verify(
        &self,
        path: &str,
        query: &str,
        now: SystemTime,
    ) -> Result<(), SignatureError> {
        let (expires, signature) = read(query).ok_or(SignatureError::Invalid)?;
        // In constant time. It comes first: only what was once signed can be said to be too old.
        self.mac(path, expires)
            .verify_slice(&signature)
            .map_err(|_| SignatureError::Invalid)?;
        if seconds(now) > expires {
            return Err(SignatureError::Expired);
        }
        Ok(())
    }

    /// A path has no line break, so no two pairs of path and time are signed alike.
    fn mac(&self, path: &str, expires: u64) -> Hmac<Sha256> {
        // An HMAC's key fills a block of its hash, with zeros at the end.
        let mut block = [0; 64];
        block[..SIGNING_KEY].copy_from_slice(&*self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(path.as_bytes());
        mac.update(format!("\n{expires}").as_bytes());
        mac
    }
}

impl fmt::Debug for UrlSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UrlSigner")
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}

/// Whether a query has a signature, be it right or wrong.
pub(crate) fn is_signed(query: &str) -> bool {
    value(query, SIGNATURE).is_some()
}

fn read(query: &str) -> Option<(u64, [u8; 32])> {
    let expires = value(query, EXPIRES)?;
    // `parse` would take a sign, too; there is one way only to write a time.
    let expires = Some(expires).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?;
    Some((expires.parse().ok()?, bytes(value(query, SIGNATURE)?)?))
}

/// The first value of a name. Neither of ours ever needs escaping.
fn value<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
}

fn bytes(hex: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if hex.len() != 2 * bytes.len() || !hex.bytes().all(lower) {
        return None;
    }
    for (at, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/api/v1/mesh/j/result";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn signer() -> UrlSigner {
        UrlSigner::new([7; 32], Duration::from_secs(60))
    }

    #[test]
    fn a_signature_is_an_hmac_of_path_and_time() {
        // printf '/api/v1/mesh/j/result\n1060' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…
        let expected = "expires=1060&signature=951472f1e7194d98e3ab1aa96b440340f2f136c55fe9c9e0edc0f34a4970f441";
        assert_eq!(signer().query(PATH, at(1000)), expected);
    }

    #[test]
    fn what_was_signed_is_good_until_it_expires() {
        let signer = signer();
        let query = signer.query(PATH, at(1000));
        for now in [0, 1000, 1060] {
            assert_eq!(signer.verify(PATH, &query, at(now)), Ok(()));
        }
        let later = signer.verify(PATH, &query, at(1061));
        assert_eq!(later, Err(SignatureError::Expired));
        let with_more = format!("x=1&{query}&y");
        assert_eq!(signer.verify(PATH, &with_more, at(1000)), Ok(()));
    }

    #[test]
    fn nothing_else_is_good() {
        let signer = signer();
        let query = signer.query(PATH, at(1000));
        let (_, signature) = query.split_once('&').expect("two parts");
        let mut cases = vec![
            (PATH, String::new()),
            (PATH, "expires=1060".into()),
            (PATH, signature.into()),
            (PATH, format!("expires=1061&{signature}")),
            (PATH, format!("expires=+1060&{signature}")),
            (PATH, format!("expires=99999999999999999999&{signature}")),
            (PATH, format!("expires=1&{query}")),
            (PATH, query.to_uppercase()),
            (PATH, format!("{query}0")),
            (PATH, query[..query.len() - 2].to_owned()),
            ("/api/v1/mesh/k/result", query.clone()),
            (
                PATH,
                UrlSigner::new([8; 32], Duration::from_secs(60)).query(PATH, at(1000)),
            ),
        ];
        for at in query.len() - 64..query.len() {
            let mut altered = query.clone().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            cases.push((PATH, String::from_utf8(altered).expect("ASCII")));
        }
        for (path, query) in cases {
            let verified = signer.verify(path, &query, at(1000));
            assert_eq!(verified, Err(SignatureError::Invalid), "{query}");
        }
    }
}
