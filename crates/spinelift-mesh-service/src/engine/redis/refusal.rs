//! What is wrong with `REDIS_URL` if something answers there: servers and their library say it in
//! words of their own.

use redis::{ErrorKind, RedisError};

/// Why a server that answers cannot be worked with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It does not know who asks.
    #[error("the server refuses this user or password, or wants one where there is none")]
    Credentials,
    /// The number behind the host.
    #[error("the server has no database of this number")]
    Database,
    /// What it says cannot be understood.
    #[error("something that is not Redis answers there, or Redis with TLS (rediss://)")]
    NotRedis,
}

impl Refusal {
    /// What an error means, if it is one of these.
    pub(super) fn of(error: &RedisError) -> Option<Self> {
        let text = error.to_string();
        match error.kind() {
            ErrorKind::AuthenticationFailed => Some(Self::Credentials),
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => Some(Self::Credentials),
            // As clusters and sentinels pass it on.
            _ if text.contains("authentication failed") => Some(Self::Credentials),
            _ if text.contains("refused to switch database") => Some(Self::Database),
            ErrorKind::Parse => Some(Self::NotRedis),
            _ => None,
        }
    }
}

/// An error in one sentence, with what it means where that is known.
pub(super) fn explained(error: &RedisError, is_encrypted: bool) -> String {
    match Refusal::of(error) {
        Some(refusal) => refusal.to_string(),
        None if is_encrypted && may_lack_tls(error) => {
            format!("{error}; a server without TLS is redis://, and not rediss://")
        }
        None => error.to_string(),
    }
}

/// A server without TLS waits for the rest of what it takes for a command, or answers in the clear.
fn may_lack_tls(error: &RedisError) -> bool {
    error.is_timeout() || error.to_string().contains("corrupt message")
}
