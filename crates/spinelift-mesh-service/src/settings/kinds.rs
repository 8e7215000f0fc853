//! What kinds of values settings have.

use crate::address::{AllowedBucket, AllowedHost, is_bucket};
use crate::auth::{ApiKeys, is_health_check};
use crate::callback::WebhookSecrets;
use crate::cors::CorsOrigins;
use crate::redacted::Secret;
use ipnet::IpNet;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use url::Url;

/// A kind of value: how it is read, and how what is allowed is put into words.
/// Values of a `SECRET` kind are never repeated, not even wrong ones.
pub(super) struct Kind<T, const SECRET: bool = false> {
    pub(super) expected: &'static str,
    pub(super) parse: fn(&str) -> Option<T>,
}

/// A kind whose values are secrets.
pub(super) type SecretKind<T> = Kind<T, true>;

/// Where results are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageBackend {
    /// In a directory.
    Local,
    /// In an S3 bucket.
    S3,
}

/// Where a `result_url` leads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResultUrlKind {
    /// To the service.
    Service,
    /// To the object in its S3 bucket.
    Presigned,
}

/// Where jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobBackend {
    /// In an SQLite file.
    Embedded,
    /// In Redis Streams: not available in this version.
    Redis,
}

/// How the log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object a line.
    Json,
}

pub(super) const TEXT: Kind<String> = Kind {
    expected: "any text",
    parse: |text| Some(text.to_owned()),
};

pub(super) const LOG_LEVEL: Kind<String> = Kind {
    expected: "error, warn, info, debug, trace, off or a filter like info,hyper=debug",
    parse: |text| is_log_filter(text).then(|| text.to_owned()),
};

pub(super) const LOG_FILTER: Kind<String> = Kind {
    expected: LOG_LEVEL.expected,
    parse: |text| (text.is_empty() || is_log_filter(text)).then(|| text.to_owned()),
};

/// A single word that is no level would be a filter, but one that lets next to nothing through.
fn is_log_filter(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    let is_level = text.parse::<tracing::metadata::LevelFilter>().is_ok();
    let is_filter = || EnvFilter::builder().parse(text).is_ok();
    is_level || (!is_word && is_filter())
}

pub(super) const LOG_FORMAT: Kind<LogFormat> = Kind {
    expected: "text or json",
    parse: |text| match text.to_ascii_lowercase().as_str() {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    },
};

pub(super) const FLAG: Kind<bool> = Kind {
    expected: "true or false",
    // The words that pydantic's settings take.
    parse: |text| match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" | "t" | "y" => Some(true),
        "false" | "0" | "no" | "off" | "f" | "n" => Some(false),
        _ => None,
    },
};

pub(super) const OPTIONAL_FLAG: Kind<Option<bool>> = Kind {
    expected: FLAG.expected,
    parse: |text| match text.is_empty() {
        true => Some(None),
        false => (FLAG.parse)(text).map(Some),
    },
};

pub(super) const OPTIONAL_TEXT: Kind<Option<String>> = Kind {
    expected: TEXT.expected,
    parse: |text| Some((!text.is_empty()).then(|| text.to_owned())),
};

pub(super) const OPTIONAL_SECRET: SecretKind<Option<Secret>> = Kind {
    expected: TEXT.expected,
    parse: |text| Some((!text.is_empty()).then(|| Secret::new(text))),
};

pub(super) const IP: Kind<IpAddr> = Kind {
    expected: "an IP address, like 127.0.0.1",
    parse: |text| text.parse().ok(),
};

pub(super) const PORT: Kind<u16> = Kind {
    expected: "a whole number from 0 to 65535",
    parse: |text| text.parse().ok(),
};

pub(super) const COUNT: Kind<NonZeroUsize> = Kind {
    expected: "a whole number from 1 to 1000000000",
    parse: |text| {
        text.parse()
            .ok()
            .filter(|n: &NonZeroUsize| n.get() <= 1_000_000_000)
    },
};

pub(super) const WORKERS: Kind<NonZeroUsize> = Kind {
    // Each is a task from the start on.
    expected: "a whole number from 1 to 10000",
    parse: |text| {
        text.parse()
            .ok()
            .filter(|n: &NonZeroUsize| n.get() <= 10_000)
    },
};

pub(super) const BATCH: Kind<NonZeroUsize> = Kind {
    // All of a batch is written at once, and others wait for it.
    expected: WORKERS.expected,
    parse: WORKERS.parse,
};

pub(super) const SIZE: Kind<NonZeroUsize> = Kind {
    expected: "a whole number of bytes, 1 or more",
    parse: |text| text.parse().ok(),
};

pub(super) const BYTES: Kind<u64> = Kind {
    expected: "a whole number of bytes, 0 or more",
    parse: |text| text.parse().ok(),
};

pub(super) const DIMENSION: Kind<u32> = Kind {
    expected: "a whole number of pixels from 1 to 65535",
    parse: |text| text.parse().ok().filter(|n| (1..=65_535).contains(n)),
};

pub(super) const SECONDS: Kind<Duration> = Kind {
    expected: "a number of seconds, more than 0 and at most 86400",
    parse: |text| {
        let seconds: f64 = text.parse().ok()?;
        (seconds > 0.0 && seconds <= 86_400.0).then(|| Duration::from_secs_f64(seconds))
    },
};

pub(super) const DELAY: Kind<Duration> = Kind {
    expected: "a number of seconds from 0 to 86400",
    parse: |text| {
        let seconds: f64 = text.parse().ok()?;
        (0.0..=86_400.0)
            .contains(&seconds)
            .then(|| Duration::from_secs_f64(seconds))
    },
};

pub(super) const PATH: Kind<PathBuf> = Kind {
    expected: "a path",
    parse: |text| Some(PathBuf::from(text)),
};

pub(super) const API_PREFIX: Kind<String> = Kind {
    expected: "a path of letters, digits, - . _ ~ and /, beginning with / (or / alone for none), without . and .. as segments, and not below /health",
    parse: |text| {
        let path = text.strip_suffix('/').unwrap_or(text);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let whole = text.starts_with('/') && path.bytes().all(allowed) && !path.contains("//");
        // Clients resolve such segments before they send the path.
        let resolved = path
            .split('/')
            .all(|segment| !matches!(segment, "." | ".."));
        // Its paths are for everybody; the API's are not.
        let apart = !is_health_check(path);
        (whole && resolved && apart).then(|| path.to_owned())
    },
};

pub(super) const OPTIONAL_URL: Kind<Option<String>> = Kind {
    expected: "an http or https URL without user, query and fragment",
    parse: |text| {
        if text.is_empty() {
            return Some(None);
        }
        let url = Url::parse(text).ok()?;
        let plain = matches!(url.scheme(), "http" | "https")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none();
        plain.then(|| Some(url.as_str().trim_end_matches('/').to_owned()))
    },
};

pub(super) const HOSTS: Kind<Vec<AllowedHost>> = Kind {
    expected: "a list of host or host:port, separated by commas; IPv6 addresses in brackets",
    parse: |text| {
        let hosts = text
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty());
        hosts.map(AllowedHost::parse).collect()
    },
};

pub(super) const SERVERS: Kind<Vec<SocketAddr>> = Kind {
    expected: "a list of IP addresses, each with :port unless that is 53, separated by commas; \
               IPv6 addresses with a port in brackets",
    parse: |text| {
        let servers = text
            .split(',')
            .map(str::trim)
            .filter(|text| !text.is_empty());
        let server = |text: &str| {
            let bare = text.parse().map(|ip: IpAddr| SocketAddr::new(ip, 53));
            bare.or_else(|_| text.parse()).ok()
        };
        servers.map(server).collect()
    },
};

pub(super) const BUCKET: Kind<Option<String>> = Kind {
    expected: "the name of a bucket: 3 to 63 of lower case letters, digits, - and dots",
    parse: |text| match text.is_empty() {
        true => Some(None),
        false => is_bucket(text).then(|| Some(text.to_owned())),
    },
};

pub(super) const BUCKETS: Kind<Vec<AllowedBucket>> = Kind {
    expected: "a list of bucket or bucket/prefix/, separated by commas; a prefix ends with /",
    parse: |text| {
        let entries = text.split(',').map(str::trim);
        let entries = entries.filter(|entry| !entry.is_empty());
        entries.map(AllowedBucket::parse).collect()
    },
};

pub(super) const KEY_PREFIX: Kind<String> = Kind {
    expected: "letters, digits, - . _ and /, without an empty, . or .. part",
    // With one / at its end, unless it is empty.
    parse: |text| {
        let path = text.strip_suffix('/').unwrap_or(text);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte);
        let parts_are_whole = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        match text.is_empty() {
            true => Some(String::new()),
            false => (parts_are_whole && path.bytes().all(plain)).then(|| format!("{path}/")),
        }
    },
};

pub(super) const RESULT_URL_KIND: Kind<ResultUrlKind> = Kind {
    expected: "service or presigned",
    parse: |text| match text {
        "service" => Some(ResultUrlKind::Service),
        "presigned" => Some(ResultUrlKind::Presigned),
        _ => None,
    },
};

pub(super) const STORAGE: Kind<StorageBackend> = Kind {
    expected: "local or s3",
    parse: |text| match text {
        "local" => Some(StorageBackend::Local),
        "s3" => Some(StorageBackend::S3),
        _ => None,
    },
};

pub(super) const JOBS: Kind<JobBackend> = Kind {
    expected: "embedded or sqlite (redis is not available in this version)",
    parse: |text| match text {
        "embedded" | "sqlite" => Some(JobBackend::Embedded),
        "redis" => Some(JobBackend::Redis),
        _ => None,
    },
};

pub(super) const API_KEYS: SecretKind<ApiKeys> = Kind {
    expected: "a list of KEY or NAME:KEY, separated by commas; each KEY of 16 or more visible ASCII characters other than , and :, and none twice; each NAME of letters, digits, - . and _",
    parse: ApiKeys::parse,
};

pub(super) const ORIGINS: Kind<CorsOrigins> = Kind {
    expected: "a list of origins like https://editor.example:8443, separated by commas, or * for all",
    parse: CorsOrigins::parse,
};

pub(super) const NETWORKS: Kind<Vec<IpNet>> = Kind {
    expected: "a list of IP addresses or networks like 10.0.0.0/8, separated by commas",
    parse: |text| {
        let entries = text.split(',').map(str::trim);
        let network = |entry: &str| {
            let address = entry.parse::<IpAddr>().map(IpNet::from);
            address.ok().or_else(|| entry.parse().ok())
        };
        entries
            .filter(|entry| !entry.is_empty())
            .map(network)
            .collect()
    },
};

pub(super) const LIFETIME: Kind<Duration> = Kind {
    // Ten years: as good as for ever, and far from what a time can hold.
    expected: "a whole number of seconds from 1 to 315360000",
    parse: |text| {
        let seconds = text.parse().ok().filter(|n| (1..=315_360_000).contains(n));
        seconds.map(Duration::from_secs)
    },
};

pub(super) const SIGNING_SECRET: SecretKind<Option<Secret>> = Kind {
    expected: "a text of 32 characters or more",
    parse: |text| match text.chars().count() {
        0 => Some(None),
        1..32 => None,
        _ => Some(Some(Secret::new(text))),
    },
};

pub(super) const WEBHOOK_SECRETS: SecretKind<WebhookSecrets> = Kind {
    expected: "a list of secrets, separated by commas; each whsec_ and the Base64 of 24 to 64 bytes, and none twice",
    parse: WebhookSecrets::parse,
};
