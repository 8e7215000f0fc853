//! Signatures in URLs: whoever was given the URL may fetch what it names, for a while, and not what
//! has the same name later.

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

    /// When a signature that is made now expires, in seconds since 1970.
    pub(crate) fn expiry(&self, now: SystemTime) -> u64 {
        seconds(now).saturating_add(self.lifetime.as_secs())
    }

    /// The query that makes a path a signed one. It names what has the path in this generation.
    pub(crate) fn query(&self, path: &str, generation: u64, expires: u64) -> String {
        let mut query = format!("{EXPIRES}={expires}&{SIGNATURE}=");
        for byte in self.mac(path, generation, expires).finalize().into_bytes() {
            // Writing to a string cannot fail.
            let _ = write!(query, "{byte:02x}");
        }
        query
    }

    /// Checks the query of a path; when it expires.
    pub(crate) fn verify(
        &self,
        path: &str,
        generation: u64,
        query: &str,
        now: SystemTime,
    ) -> Result<u64, SignatureError> {
        let (expires, signature) = read(query).ok_or(SignatureError::Invalid)?;
        // In constant time. It comes first: only what was once signed can be said to be too old.
        self.mac(path, generation, expires)
            .verify_slice(&signature)
            .map_err(|_| SignatureError::Invalid)?;
        if seconds(now) > expires {
            return Err(SignatureError::Expired);
        }
        Ok(expires)
    }

    /// A path has no line break, so no two triples of path, time and generation are signed alike.
    fn mac(&self, path: &str, generation: u64, expires: u64) -> Hmac<Sha256> {
        // An HMAC's key fills a block of its hash, with zeros at the end.
        let mut block = [0; 64];
        block[..SIGNING_KEY].copy_from_slice(&*self.key);
        let mut mac = Hmac::<Sha256>::new(&block.into());
        mac.update(path.as_bytes());
        mac.update(format!("\n{expires}\n{generation}").as_bytes());
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
    let text = value(query, EXPIRES)?;
    let expires: u64 = text.parse().ok()?;
    // `parse` takes a sign and zeros in front, too; there is one way only to write a time.
    let is_written_so = expires.to_string() == text;
    is_written_so.then_some((expires, bytes(value(query, SIGNATURE)?)?))
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

    fn signed(signer: &UrlSigner) -> String {
        signer.query(PATH, 5, signer.expiry(at(1000)))
    }

    #[test]
    fn a_signature_is_an_hmac_of_path_time_and_generation() {
        // printf '/api/v1/mesh/j/result\n1060\n5' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0707…
        let expected = "expires=1060&signature=506c69d565f2836041b3aa19350e51f5816dc1cba186e3d2a62ab3b2a4cc1f23";
        assert_eq!(signed(&signer()), expected);
    }

    #[test]
    fn what_was_signed_is_good_until_it_expires() {
        let signer = signer();
        let query = signed(&signer);
        for now in [0, 1000, 1060] {
            assert_eq!(signer.verify(PATH, 5, &query, at(now)), Ok(1060));
        }
        let later = signer.verify(PATH, 5, &query, at(1061));
        assert_eq!(later, Err(SignatureError::Expired));
        let with_more = format!("x=1&{query}&y");
        assert_eq!(signer.verify(PATH, 5, &with_more, at(1000)), Ok(1060));
        let next = signer.verify(PATH, 6, &query, at(1000));
        assert_eq!(next, Err(SignatureError::Invalid), "of another job");
    }

    #[test]
    fn nothing_else_is_good() {
        let signer = signer();
        let query = signed(&signer);
        let (_, signature) = query.split_once('&').expect("two parts");
        let mut cases = vec![
            (PATH, String::new()),
            (PATH, "expires=1060".into()),
            (PATH, signature.into()),
            (PATH, format!("expires=1061&{signature}")),
            (PATH, format!("expires=+1060&{signature}")),
            (PATH, format!("expires=01060&{signature}")),
            (PATH, format!("expires=99999999999999999999&{signature}")),
            (PATH, format!("expires=1&{query}")),
            (PATH, query.to_uppercase()),
            (PATH, format!("{query}0")),
            (PATH, query[..query.len() - 2].to_owned()),
            ("/api/v1/mesh/k/result", query.clone()),
            (
                PATH,
                signed(&UrlSigner::new([8; 32], Duration::from_secs(60))),
            ),
        ];
        for at in query.len() - 64..query.len() {
            let mut altered = query.clone().into_bytes();
            altered[at] = if altered[at] == b'0' { b'1' } else { b'0' };
            cases.push((PATH, String::from_utf8(altered).expect("ASCII")));
        }
        for (path, query) in cases {
            let verified = signer.verify(path, 5, &query, at(1000));
            assert_eq!(verified, Err(SignatureError::Invalid), "{query}");
        }
    }
}
