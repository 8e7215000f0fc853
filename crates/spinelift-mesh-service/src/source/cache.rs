//! Images that are kept to be used again, if their server says that they are still right.

use super::body::Received;
use chrono::{DateTime, FixedOffset, TimeDelta};
use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use reqwest::RequestBuilder;
use reqwest::header::{
    CACHE_CONTROL, DATE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE,
    IF_NONE_MATCH, LAST_MODIFIED, VARY,
};
use url::Url;

/// What an entry takes besides the image and its URL.
const OVERHEAD: usize = 512;

/// Longest validator that is kept.
const MAX_VALIDATOR: usize = 256;

/// The kept images, by the whole URL. None is used before its server was asked.
#[derive(Debug, Clone)]
pub(super) struct SourceCache(Option<Cache<Box<str>, Kept>>);

/// An image, and what its server is asked with.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    pub(super) image: Received,
    validators: Validators,
}

#[derive(Debug, Clone)]
struct Validators {
    etag: Option<HeaderValue>,
    last_modified: Option<HeaderValue>,
}

impl SourceCache {
    /// Keeps up to `capacity` bytes, and nothing if that is 0.
    pub(super) fn new(capacity: u64) -> Self {
        let cache = Cache::builder()
            .max_capacity(capacity)
            .eviction_policy(EvictionPolicy::lru())
            .weigher(weight)
            .build();
        Self((capacity > 0).then_some(cache))
    }

    pub(super) fn get(&self, url: &Url) -> Option<Kept> {
        self.0.as_ref()?.get(url.as_str())
    }

    /// Keeps an image, unless its server forbids that or would have nothing to compare it with.
    pub(super) fn keep(&self, url: &Url, headers: &HeaderMap, image: &Received) {
        let Some(cache) = &self.0 else { return };
        let Some(validators) = Validators::of(headers) else {
            cache.invalidate(url.as_str());
            return;
        };
        let kept = Kept {
            image: image.clone(),
            validators,
        };
        let key = Box::from(url.as_str());
        let fits = |capacity| u64::from(weight(&key, &kept)) <= capacity;
        if cache.policy().max_capacity().is_some_and(fits) {
            cache.insert(key, kept);
            // At once, so that the bound is one.
            cache.run_pending_tasks();
        } else {
            cache.invalidate(&key);
        }
    }

    /// Forgets an image whose server no longer wants it to be kept.
    pub(super) fn review(&self, url: &Url, headers: &HeaderMap) {
        if let Some(cache) = &self.0
            && forbidden(headers)
        {
            cache.invalidate(url.as_str());
        }
    }
}

impl Kept {
    /// The tag that an object of S3 is asked for with.
    pub(super) fn etag(&self) -> Option<String> {
        let etag = self.validators.etag.as_ref()?;
        etag.to_str().ok().map(str::to_owned)
    }

    /// Makes a request conditional.
    pub(super) fn ask(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(etag) = &self.validators.etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        if let Some(date) = &self.validators.last_modified {
            request = request.header(IF_MODIFIED_SINCE, date);
        }
        request
    }
}

impl Validators {
    /// What comes with an image that may be kept.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let short = |name| {
            headers
                .get(name)
                .filter(|v: &&HeaderValue| v.len() <= MAX_VALIDATOR)
        };
        let validators = Self {
            etag: short(ETAG).cloned(),
            last_modified: short(LAST_MODIFIED)
                .filter(|_| was_whole_second_old(headers))
                .cloned(),
        };
        let any = validators.etag.is_some() || validators.last_modified.is_some();
        (any && !forbidden(headers) && !has(headers, VARY, "*")).then_some(validators)
    }
}

/// Whether an image can no longer have changed within the second that its `Last-Modified` names
/// (RFC 9110, 8.8.2.2): one that was younger may have another content under the same date.
fn was_whole_second_old(headers: &HeaderMap) -> bool {
    let date = |name| -> Option<DateTime<FixedOffset>> {
        let text = headers.get(name)?.to_str().ok()?;
        DateTime::parse_from_rfc2822(text).ok()
    };
    match (date(LAST_MODIFIED), date(DATE)) {
        (Some(modified), Some(sent)) => sent - modified >= TimeDelta::seconds(1),
        _ => false,
    }
}

fn forbidden(headers: &HeaderMap) -> bool {
    has(headers, CACHE_CONTROL, "no-store")
}

/// Whether a word is in the list of a header.
fn has(headers: &HeaderMap, name: HeaderName, word: &str) -> bool {
    let values = headers.get_all(name).iter();
    values.filter_map(|value| value.to_str().ok()).any(|value| {
        let mut words = value.split(',').map(str::trim);
        words.any(|found| found.eq_ignore_ascii_case(word))
    })
}

#[expect(clippy::borrowed_box, reason = "the signature of a weigher")]
fn weight(url: &Box<str>, kept: &Kept) -> u32 {
    let bytes = url.len() + kept.image.bytes.len() + OVERHEAD;
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    fn url(number: usize) -> Url {
        Url::parse(&format!("http://h/{number}.png?signature=1")).expect("valid")
    }

    fn image(length: usize) -> Received {
        Received {
            bytes: Bytes::from(vec![0; length]),
            digest: [0; 32],
        }
    }

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value): &(&'static str, &'static str)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        };
        pairs.iter().map(pair).collect()
    }

    const CHANGED: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const LATER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    #[test]
    fn only_what_may_be_kept_and_compared_is_kept() {
        for (pairs, kept) in [
            (&[("etag", "\"a\"")][..], true),
            (&[("etag", "W/\"a\"")], true),
            (&[("last-modified", CHANGED), ("date", LATER)], true),
            (&[("last-modified", CHANGED), ("date", CHANGED)], false),
            (&[("last-modified", CHANGED)], false),
            (&[("last-modified", "yesterday"), ("date", LATER)], false),
            (
                &[
                    ("etag", "\"a\""),
                    ("last-modified", CHANGED),
                    ("date", CHANGED),
                ],
                true,
            ),
            (
                &[("etag", "\"a\""), ("cache-control", "max-age=0, private")],
                true,
            ),
            (
                &[("etag", "\"a\""), ("cache-control", "private, No-Store")],
                false,
            ),
            (&[("etag", "\"a\""), ("vary", "*")], false),
            (&[("cache-control", "max-age=1000")], false),
            (&[], false),
        ] {
            let cache = SourceCache::new(10_000);
            cache.keep(&url(1), &headers(pairs), &image(1));
            assert_eq!(cache.get(&url(1)).is_some(), kept, "{pairs:?}");
            // What was kept before is gone, if the answer that took its place is not kept.
            cache.keep(&url(1), &headers(&[("etag", "\"b\"")]), &image(1));
            cache.keep(&url(1), &headers(pairs), &image(1));
            assert_eq!(cache.get(&url(1)).is_some(), kept, "{pairs:?}");
        }
    }

    #[test]
    fn the_bound_is_kept() {
        let cache = SourceCache::new(10_000);
        let etag = headers(&[("etag", "\"a\"")]);
        for number in 0..20 {
            cache.keep(&url(number), &etag, &image(2_000));
            let size = cache.0.as_ref().map_or(0, Cache::weighted_size);
            assert!((2_000..=10_000).contains(&size), "{size} after {number}");
        }
        assert!(cache.get(&url(19)).is_some());
        assert!(cache.get(&url(0)).is_none());
        cache.keep(&url(99), &etag, &image(10_000));
        assert!(cache.get(&url(99)).is_none());
        // It has thrown nothing out.
        assert!(cache.get(&url(19)).is_some());
    }

    #[test]
    fn nothing_is_kept_with_a_size_of_0() {
        let cache = SourceCache::new(0);
        cache.keep(&url(1), &headers(&[("etag", "\"a\"")]), &image(1));
        assert!(cache.get(&url(1)).is_none());
    }
}
