-- The secret of a name; if there is none it is made of this, but not before nodes have been heard for
-- so long: a server may have lost its data, and those that run know the secrets.
local name, fresh, settle = ARGV[1], ARGV[2], tonumber(ARGV[3])
local known = redis.call('HGET', P .. 'secrets', name)
if known then
  return known
end
local since = redis.call('HGET', P .. 'heard', 'since')
if not since or NOW - since < settle then
  return ''
end
redis.call('HSET', P .. 'secrets', name, fresh)
return fresh
