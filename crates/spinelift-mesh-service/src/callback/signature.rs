//! Signatures of callbacks, as [Standard Webhooks](https://www.standardwebhooks.com) has them: a
//! receiver that knows a secret can tell that a callback is ours and unchanged.

use crate::engine::DeliveryId;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::fmt;
use std::sync::Arc;

/// What every secret begins with, so that one in the wrong place is recognized.
const PREFIX: &str = "whsec_";

/// The lengths of secrets, in bytes.
const FEWEST: usize = 24;
const MOST: usize = 64;

/// The secrets that callbacks are signed with. Nothing can print them.
#[derive(Clone, Default)]
pub struct WebhookSecrets(Arc<[Box<[u8]>]>);

impl WebhookSecrets {
    /// Reads a list of secrets, separated by commas; an empty text has none.
    ///
    /// `None` if one is malformed, too short or long, or twice there, or if there is nothing but
    /// commas.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.trim().is_empty() {
            return Some(Self::default());
        }
        let entries = text.split(',').map(str::trim);
        let secrets: Vec<_> = entries
            .filter(|entry| !entry.is_empty())
            .map(secret)
            .collect::<Option<_>>()?;
        let unique = |index: usize| !secrets[..index].contains(&secrets[index]);
        let valid = !secrets.is_empty() && (0..secrets.len()).all(unique);
        valid.then(|| Self(secrets.into()))
    }

    /// The value of `webhook-signature`: one signature for each secret; `None` without secrets.
    pub(super) fn sign(&self, id: &DeliveryId, timestamp: i64, body: &[u8]) -> Option<String> {
        let signatures: Vec<_> = self
            .0
            .iter()
            .map(|secret| format!("v1,{}", signature(secret, id, timestamp, body)))
            .collect();
        (!signatures.is_empty()).then(|| signatures.join(" "))
    }
}

fn secret(entry: &str) -> Option<Box<[u8]>> {
    let bytes = STANDARD.decode(entry.strip_prefix(PREFIX)?).ok()?;
    (FEWEST..=MOST)
        .contains(&bytes.len())
        .then(|| bytes.into_boxed_slice())
}

fn signature(secret: &[u8], id: &DeliveryId, timestamp: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret)
        .unwrap_or_else(|_| unreachable!("keys of any length will do"));
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    STANDARD.encode(mac.finalize().into_bytes())
}

impl fmt::Debug for WebhookSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} secrets]", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 24 bytes.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    fn of_length(bytes: usize) -> String {
        format!("whsec_{}", STANDARD.encode(vec![7; bytes]))
    }

    /// The example of the specification's libraries.
    #[test]
    fn a_signature_is_that_of_the_specification() {
        let secrets = WebhookSecrets::parse(SECRET).expect("valid");
        let id = DeliveryId::new("msg_p5jXN8AQM9LWM0D4loKWxJek");
        let signed = secrets.sign(&id, 1_614_265_330, br#"{"test": 2432232314}"#);
        let expected = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signed.as_deref(), Some(expected));
    }

    #[test]
    fn no_text_is_no_secret_and_nothing_is_signed() {
        let none = WebhookSecrets::parse(" ").expect("valid");
        assert_eq!(none.sign(&DeliveryId::new("msg_1"), 0, b"{}"), None);
    }

    #[test]
    fn secrets_that_are_none_are_refused() {
        for good in [of_length(24), of_length(64), format!(" {SECRET} ,")] {
            assert!(WebhookSecrets::parse(&good).is_some(), "{good}");
        }
        for bad in [
            of_length(23),
            of_length(65),
            ",".to_owned(),
            SECRET.replace("whsec_", ""),
            SECRET.replace("whsec_", "whpk_"),
            SECRET.replace('9', "-"),
            format!("{SECRET},{SECRET}"),
            format!("{SECRET} {}", of_length(24)),
            format!("{SECRET},whsec_"),
        ] {
            assert!(WebhookSecrets::parse(&bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let secrets = WebhookSecrets::parse(SECRET).expect("valid");
        assert_eq!(format!("{secrets:?}"), "[1 secrets]");
    }
}
