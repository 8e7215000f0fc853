-- Records an attempt at a delivery and what follows it. One whose lease was lost, or that was
-- replayed meanwhile, decides nothing any more, unless it was taken.
local id, token, nonce, age, entry, next_step, delay, most =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
local name = P .. 'delivery:' .. id
local known = fields(name, 'state', 'token', 'receiver', 'of', 'nonce')
if not known.state or known.nonce == nonce then
  return 0
end
even_if_full()
redis.call('HINCRBY', name, 'attempts', 1)
redis.call('HSET', name, 'nonce', nonce)
redis.call('RPUSH', P .. 'log:' .. id, string.format('%.0f ', NOW - age) .. entry)
redis.call('LTRIM', P .. 'log:' .. id, -most, -1)
local is_own = known.token == token and token ~= ''
local function is_over(state)
  settle(id, known.receiver)
  redis.call('HSET', name, 'state', state, 'token', '')
  redis.call('HDEL', name, 'next_at')
  local finished = redis.call('HGET', P .. 'job:' .. known.of, 'finished_at')
    or redis.call('HGET', P .. 'batch:' .. known.of, 'finished_at')
  if finished then
    redis.call('ZADD', P .. 'expirable', finished, known.of)
  end
end
if next_step == 'delivered' then
  if known.state == 'pending' then
    is_over('delivered')
  end
elseif is_own and next_step == 'give_up' then
  is_over('failed')
elseif is_own then
  -- This node has a look at what is due next, and the others do soon.
  wait_until(id, known.receiver, NOW + delay)
end
return 0
