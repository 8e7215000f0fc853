//! What the tests share: the service under test, and the world around it.

mod log;
mod name_server;
mod origin;
pub(crate) mod raw_origin;
mod receiver;
mod redis;
mod s3;
mod service;

pub(crate) use self::redis::{Process as RedisProcess, RedisServer, free_port, listening};
pub(crate) use log::Log;
pub(crate) use name_server::{Answer as NameAnswer, NameServer};
pub(crate) use origin::{Origin, disc};
pub(crate) use receiver::{Received, Receiver};
pub(crate) use s3::S3Server;
pub(crate) use s3::line::{Line, Outage};
pub(crate) use service::{Answer, TestService, settings};

use std::future::Future;
use std::time::Duration;

/// Far longer than anything here takes: only a defect reaches it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T, F: Future<Output = Option<T>>>(
    what: &str,
    mut ask: impl FnMut() -> F,
) -> T {
    let answer = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(DEADLINE, answer).await {
        Ok(answer) => answer,
        Err(_) => panic!("never happened: {what}"),
    }
}
