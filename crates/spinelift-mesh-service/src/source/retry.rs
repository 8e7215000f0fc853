//! When to come back to a server that failed.

use chrono::{DateTime, Utc};
use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use std::time::Duration;

/// Delay before the second try; it doubles with each further one.
const FIRST_DELAY: Duration = Duration::from_millis(250);

/// Longest that a server may ask to be left alone for. A job that waits is in the way of others,
/// so beyond this it fails, with what the server said.
pub(super) const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// How long to wait after this many tries, half to one and a half times the usual delay, so that
/// jobs that failed together do not come back together. `asked` is what the server asks for.
pub(super) fn delay(tried: u32, asked: Option<Duration>) -> Duration {
    let usual = FIRST_DELAY.saturating_mul(1 << tried.saturating_sub(1).min(16));
    let jittered = usual.mul_f64(0.5 + fastrand::f64());
    // Not before the time that was asked for, and not all at that very moment.
    asked.map_or(jittered, |asked| {
        asked + FIRST_DELAY.mul_f64(fastrand::f64())
    })
}

/// What an answer says of when to come back.
pub(super) fn retry_after(response: &Response) -> Option<Duration> {
    if !matches!(response.status().as_u16(), 429 | 503) {
        return None;
    }
    read(
        response.headers().get(RETRY_AFTER)?.to_str().ok()?,
        Utc::now(),
    )
}

/// Seconds, or a date.
fn read(text: &str, now: DateTime<Utc>) -> Option<Duration> {
    let text = text.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    // A date that has passed means now.
    Some((date.to_utc() - now).to_std().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_and_dates_are_read() {
        let now = DateTime::from_timestamp(784_111_777, 0).expect("Sun, 06 Nov 1994 08:49:37");
        for (text, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:50:00 GMT", Some(23)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(
                read(text, now),
                seconds.map(Duration::from_secs),
                "{text:?}"
            );
        }
    }

    #[test]
    fn delays_double_and_are_never_shorter_than_asked() {
        for (tried, usual) in [(1, 250), (2, 500), (3, 1000)] {
            let usual = Duration::from_millis(usual);
            let delay = delay(tried, None);
            assert!(delay >= usual / 2 && delay <= usual * 3 / 2, "{delay:?}");
        }
        let asked = Duration::from_secs(3);
        assert!((asked..asked + FIRST_DELAY).contains(&delay(1, Some(asked))));
        // However often.
        delay(u32::MAX, None);
    }
}
