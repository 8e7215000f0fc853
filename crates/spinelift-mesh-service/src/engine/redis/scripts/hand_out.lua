-- A delivery that a node holds, if it holds it still; it has it for another lease then. The end of
-- a batch must not overtake what is being told of its progress, by this node or another.
local id, token, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local name = P .. 'delivery:' .. id
local known = fields(name, 'state', 'token', 'of', 'receiver')
if known.state ~= 'pending' or known.token ~= token then
  return {}
end
even_if_full()
if redis.call('EXISTS', P .. 'telling:' .. known.of) == 1 then
  wait_until(id, known.receiver, NOW + 200)
  return {}
end
redis.call('ZADD', P .. 'held', NOW + lease, id)
return record(name)
