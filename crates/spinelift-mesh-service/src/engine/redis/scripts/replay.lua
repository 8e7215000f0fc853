-- Makes a delivery due once more, even if somebody is making it at the moment.
local of, id = ARGV[1], ARGV[2]
local name = P .. 'delivery:' .. id
local known = fields(name, 'state', 'of', 'receiver')
if known.of ~= of then
  return 'unknown'
end
redis.call('HSET', name, 'state', 'pending', 'attempts', 0)
redis.call('ZREM', P .. 'expirable', of)
wait_until(id, known.receiver, NOW)
redis.call('PUBLISH', P .. 'due', '')
return known.state == 'pending' and 'hastened' or 'now'
