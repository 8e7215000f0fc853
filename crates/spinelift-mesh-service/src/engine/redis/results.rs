//! The index of results.

use super::removal::objects;
use super::scripts::{CACHED, FORGET_RESULT, SHRINK, UNUSED};
use super::{Shared, token, unexpected};
use crate::engine::{EngineError, ResultKey, ResultObject};
use redis::{FromRedisValue, Value};

/// Most results that leave the cache in one step: others wait for it.
const AT_ONCE: &str = "200";

/// The cached result for a key.
pub(super) async fn find(
    shared: &Shared,
    key: &ResultKey,
) -> Result<Option<ResultObject>, EngineError> {
    let name: Option<String> = shared.link.run(&CACHED, &[key.as_str()]).await?;
    Ok(name.and_then(|name| ResultObject::parse(&name)))
}

/// Makes the cache as small as this.
pub(super) async fn shrink(shared: &Shared, most: u64) -> Result<Vec<ResultObject>, EngineError> {
    let most = most.to_string();
    let mut unused = Vec::new();
    loop {
        let args = [most.as_str(), &token(), AT_ONCE];
        let answer: Vec<Value> = shared.link.run(&SHRINK, &args).await?;
        let mut answer = answer.into_iter();
        let more = u8::from_redis_value(answer.next().unwrap_or(Value::Nil)).map_err(unexpected)?;
        let names = answer.filter_map(|name| String::from_redis_value(name).ok());
        unused.extend(objects(&names.collect::<Vec<_>>()));
        if more == 0 {
            return Ok(unused);
        }
    }
}

/// Takes a result whose object is missing out of the cache.
pub(super) async fn forget(shared: &Shared, object: &ResultObject) -> Result<(), EngineError> {
    let args = [object.as_str()];
    shared
        .link
        .run::<u8>(&FORGET_RESULT, &args)
        .await
        .map(|_| ())
}

/// Those that are not in the index.
pub(super) async fn unknown(
    shared: &Shared,
    objects: &[ResultObject],
) -> Result<Vec<ResultObject>, EngineError> {
    let args: Vec<_> = objects.iter().map(ResultObject::as_str).collect();
    let names: Vec<String> = shared.link.run(&UNUSED, &args).await?;
    Ok(self::objects(&names))
}
