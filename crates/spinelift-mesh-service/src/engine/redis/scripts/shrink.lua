-- Makes the cache as small as this, or a part of that: whether there is more to do, and the
-- results that nothing needs any more.
local most, nonce, at_once = tonumber(ARGV[1]), ARGV[2], ARGV[3]
even_if_full()
return once(nonce, function()
  local reply = { 0 }
  for _, object in ipairs(redis.call('ZRANGE', P .. 'cache', 0, at_once - 1)) do
    if tonumber(redis.call('GET', P .. 'cache_bytes') or 0) <= most then
      return reply
    end
    redis.call('ZREM', P .. 'cache', object)
    uncache(object)
    if forget_unused(object) then
      reply[#reply + 1] = object
    end
  end
  local left = tonumber(redis.call('GET', P .. 'cache_bytes') or 0)
  local more = left > most and redis.call('ZCARD', P .. 'cache') > 0
  reply[1] = more and 1 or 0
  return reply
end)
