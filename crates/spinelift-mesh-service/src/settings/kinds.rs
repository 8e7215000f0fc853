//! What kinds of values settings have.

use crate::address::AllowedHost;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;
use url::Url;

/// A kind of value: how it is read, and how what is allowed is put into words.
pub(super) struct Kind<T> {
    pub(super) expected: &'static str,
    pub(super) parse: fn(&str) -> Option<T>,
}

/// Where results are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageBackend {
    /// In a directory.
    Local,
    /// In an S3 bucket: not available in this version.
    S3,
}

/// Where jobs are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobBackend {
    /// In an SQLite file.
    Embedded,
    /// In Redis Streams: not available in this version.
    Redis,
}

pub(super) const TEXT: Kind<String> = Kind {
    expected: "any text",
    parse: |text| Some(text.to_owned()),
};

pub(super) const LOG_LEVEL: Kind<String> = Kind {
    expected: "error, warn, info, debug, trace, off or a filter like info,hyper=debug",
    parse: |text| {
        // A single word that is no level would be a filter that lets nothing through.
        let is_filter = !text.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_level = text.parse::<tracing::metadata::LevelFilter>().is_ok();
        (is_filter || is_level).then(|| text.to_owned())
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

pub(super) const IP: Kind<IpAddr> = Kind {
    expected: "an IP address",
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

pub(super) const PATH: Kind<PathBuf> = Kind {
    expected: "a path",
    parse: |text| Some(PathBuf::from(text)),
};

pub(super) const API_PREFIX: Kind<String> = Kind {
    expected: "a path of letters, digits, - . _ ~ and /, beginning with / (or / alone for none)",
    parse: |text| {
        let path = text.strip_suffix('/').unwrap_or(text);
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
        let whole = text.starts_with('/') && path.bytes().all(allowed) && !path.contains("//");
        whole.then(|| path.to_owned())
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

pub(super) const STORAGE: Kind<StorageBackend> = Kind {
    expected: "local (s3 is not available in this version)",
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
