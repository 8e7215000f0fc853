-- `result:<object>` says what a result follows from, its size, and how many jobs have it;
-- `cache_keys` leads from what it follows from to the result that others may use, and `cache` has
-- those by their last use.
local function uncache(object)
  local name = P .. 'result:' .. object
  local known = fields(name, 'key', 'bytes', 'cached')
  if known.cached == '1' then
    redis.call('HSET', name, 'cached', 0)
    redis.call('HDEL', P .. 'cache_keys', known.key)
    redis.call('ZREM', P .. 'cache', object)
    redis.call('DECRBY', P .. 'cache_bytes', known.bytes)
  end
end

local function use(object)
  redis.call('ZADD', P .. 'cache', string.format('%.0f', TIME[1] * 1000000 + TIME[2]), object)
end

local function note_result(object, result_key, bytes)
  local first = redis.call('HSETNX', P .. 'cache_keys', result_key, object)
  redis.call('HSET', P .. 'result:' .. object, 'key', result_key, 'bytes', bytes, 'cached', first,
    'jobs', 1)
  if first == 1 then
    use(object)
    redis.call('INCRBY', P .. 'cache_bytes', bytes)
  end
end

-- Whether the result can be used, which it is then.
local function reuse(object)
  if redis.call('HGET', P .. 'result:' .. object, 'cached') ~= '1' then
    return false
  end
  redis.call('HINCRBY', P .. 'result:' .. object, 'jobs', 1)
  use(object)
  return true
end

-- Forgets a result that neither a job nor the cache has. Whether it did.
local function forget_unused(object)
  local known = fields(P .. 'result:' .. object, 'jobs', 'cached')
  if known.jobs and tonumber(known.jobs) <= 0 and known.cached == '0' then
    redis.call('DEL', P .. 'result:' .. object)
    return true
  end
  return false
end

-- A job needs a result no more, and neither does the cache unless `keep_cached`.
local function release(object, keep_cached)
  if redis.call('EXISTS', P .. 'result:' .. object) == 0 then
    return false
  end
  redis.call('HINCRBY', P .. 'result:' .. object, 'jobs', -1)
  if not keep_cached then
    uncache(object)
  end
  return forget_unused(object)
end
