//! What must be so with a server that jobs are entrusted to, and what should.

use super::link::Link;
use super::scripts::INSPECT;
use crate::engine::EngineError;
use redis::FromRedisValue;
use std::collections::HashMap;

/// The oldest version that has all that is needed.
const OLDEST: (u32, u32) = (6, 2);

/// Why a server cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsuitable {
    /// It would throw jobs away.
    #[error(
        "Redis throws keys away when its memory is full, jobs among them (maxmemory-policy is \
         {policy}): set `maxmemory-policy noeviction` in its configuration"
    )]
    Evicts {
        /// The policy.
        policy: String,
    },
    /// It lacks commands.
    #[error("Redis {version} is too old: version 6.2 or later is needed")]
    TooOld {
        /// Its version.
        version: String,
    },
    /// It can be read only.
    #[error(
        "this server is a replica, which cannot be written: REDIS_URL must name its master, or sentinels"
    )]
    Replica,
}

/// What a server says of itself, as far as it may be asked.
struct About(HashMap<String, String>);

impl About {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }
}

/// Looks at the server; warns of what may cost jobs.
///
/// # Errors
/// It cannot be used, or not be asked.
pub(super) async fn inspect(link: &Link) -> Result<Result<(), Unsuitable>, EngineError> {
    let text: String = match link.run(&INSPECT, &[]).await {
        Ok(text) => text,
        Err(EngineError::Unavailable { reason })
            if reason.contains("NOPERM") || reason.contains("ACL") =>
        {
            tracing::warn!(
                reason,
                "Redis does not say how it is configured: see to it that maxmemory-policy is \
                 noeviction, appendonly yes and appendfsync always"
            );
            return Ok(Ok(()));
        }
        Err(error) => return Err(error),
    };
    let pairs = text
        .lines()
        .filter_map(|line| line.trim_end().split_once(':'));
    let about = About(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect());
    if let Err(unsuitable) = judge(&about) {
        return Ok(Err(unsuitable));
    }
    let mut ask = redis::cmd("CONFIG");
    ask.arg("GET").arg("appendfsync");
    let config = link.ask(&ask).await.ok();
    let config = config.and_then(|value| HashMap::<String, String>::from_redis_value(value).ok());
    let appendfsync = config.and_then(|mut config| config.remove("appendfsync"));
    if let Some(cost) = what_a_crash_costs(&about, appendfsync.as_deref()) {
        tracing::warn!("{cost}");
    }
    Ok(Ok(()))
}

fn judge(about: &About) -> Result<(), Unsuitable> {
    if let Some(version) = about.get("redis_version") {
        let mut parts = version.split('.').map(|part| part.parse().unwrap_or(0));
        let version_found = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
        if version_found < OLDEST {
            return Err(Unsuitable::TooOld {
                version: version.to_owned(),
            });
        }
    }
    if about.get("role") == Some("slave") {
        return Err(Unsuitable::Replica);
    }
    match about.get("maxmemory_policy") {
        None | Some("noeviction") => Ok(()),
        Some(policy) => Err(Unsuitable::Evicts {
            policy: policy.to_owned(),
        }),
    }
}

/// What is lost if the server crashes, if something is.
fn what_a_crash_costs(about: &About, appendfsync: Option<&str>) -> Option<&'static str> {
    match (about.get("aof_enabled"), appendfsync) {
        (Some("1"), Some("always")) => None,
        (Some("1"), Some("everysec")) => Some(
            "a crash of Redis can cost what was accepted, or ended, in the second before \
             (appendfsync is everysec): set `appendfsync always` to lose nothing",
        ),
        (Some("1"), Some(_)) => Some(
            "a crash of Redis' machine can cost what was accepted, or ended, in the half minute \
             before (appendfsync is no): set `appendfsync always` to lose nothing",
        ),
        (Some("1"), None) => Some(
            "Redis does not say how often it writes to disk (CONFIG GET appendfsync is not \
             allowed): with anything but `appendfsync always` a crash can cost accepted jobs",
        ),
        (Some(_), _) => Some(
            "a crash or restart of Redis can cost all jobs since its last snapshot, or all of \
             them (appendonly is no): set `appendonly yes` and `appendfsync always` to lose \
             nothing",
        ),
        (None, _) => Some(
            "Redis does not say whether it writes to disk: without `appendonly yes` and \
             `appendfsync always` a crash can cost accepted jobs",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(pairs: &[(&str, &str)]) -> About {
        let pairs = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()));
        About(pairs.collect())
    }

    #[test]
    fn a_server_that_may_lose_jobs_is_refused_or_warned_of() {
        let with = |name, value| judge(&about(&[("redis_version", "7.0.15"), (name, value)]));
        assert_eq!(with("maxmemory_policy", "noeviction"), Ok(()));
        let evicts = with("maxmemory_policy", "allkeys-lru").expect_err("evicts");
        assert!(evicts.to_string().contains("maxmemory-policy noeviction"));
        assert_eq!(with("role", "slave"), Err(Unsuitable::Replica));
        for (version, is_old) in [
            ("6.0.16", true),
            ("5.9", true),
            ("6.2.0", false),
            ("10.0", false),
        ] {
            let judged = judge(&about(&[("redis_version", version)]));
            assert_eq!(judged.is_err(), is_old, "{version}");
        }
        let aof = |on, fsync| what_a_crash_costs(&about(&[("aof_enabled", on)]), fsync);
        assert_eq!(aof("1", Some("always")), None);
        for (on, fsync, word) in [
            ("1", Some("everysec"), "second"),
            ("1", Some("no"), "half minute"),
            ("1", None, "does not say"),
            ("0", Some("always"), "appendonly"),
        ] {
            assert!(aof(on, fsync).is_some_and(|text| text.contains(word)));
        }
    }
}
