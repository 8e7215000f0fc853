-- Deliveries that wait for their time are in `outbox`, and by their receivers in `due:<receiver>`;
-- `receivers` has the time of the first of each. One that a node has is in `held` instead, scored
-- by when it loses it.
local function look_at(receiver)
  local first = redis.call('ZRANGE', P .. 'due:' .. receiver, 0, 0, 'WITHSCORES')
  if first[2] then
    redis.call('ZADD', P .. 'receivers', first[2], receiver)
  else
    redis.call('ZREM', P .. 'receivers', receiver)
  end
end

local function wait_until(id, receiver, at)
  redis.call('ZREM', P .. 'held', id)
  redis.call('ZADD', P .. 'outbox', at, id)
  redis.call('ZADD', P .. 'due:' .. receiver, at, id)
  redis.call('HSET', P .. 'delivery:' .. id, 'token', '', 'next_at', at)
  look_at(receiver)
end

local function wait_no_more(id, receiver)
  redis.call('ZREM', P .. 'outbox', id)
  if redis.call('ZREM', P .. 'due:' .. receiver, id) > 0 then
    look_at(receiver)
  end
end

local function hold(id, receiver, token, until_then)
  wait_no_more(id, receiver)
  redis.call('ZADD', P .. 'held', until_then, id)
  redis.call('HSET', P .. 'delivery:' .. id, 'token', token)
end

-- It is made, given up or deleted: nobody has to do anything about it.
local function settle(id, receiver)
  redis.call('ZREM', P .. 'held', id)
  wait_no_more(id, receiver)
end

-- Notes that something ended is to be told. `holder` is the node that makes the delivery, if one
-- is known that should: `token` and how long it may take.
local function deliver(id, of, generation, receiver, holder)
  redis.call('HSET', P .. 'delivery:' .. id, 'id', id, 'of', of,
    'generation', generation, 'receiver', receiver, 'state',
    'pending', 'attempts', 0, 'created_at', NOW, 'next_at', NOW)
  redis.call('RPUSH', P .. 'deliveries:' .. of, id)
  if holder then
    hold(id, receiver, holder.token, NOW + holder.lease)
  else
    wait_until(id, receiver, NOW)
    redis.call('PUBLISH', P .. 'due', '')
  end
end

-- Into `forgotten` go their names.
local function forget_deliveries(of, forgotten)
  local list = P .. 'deliveries:' .. of
  for _, id in ipairs(redis.call('LRANGE', list, 0, -1)) do
    local receiver = redis.call('HGET', P .. 'delivery:' .. id, 'receiver')
    if receiver then
      settle(id, receiver)
    end
    redis.call('DEL', P .. 'delivery:' .. id, P .. 'log:' .. id)
    forgotten[#forgotten + 1] = id
  end
  redis.call('DEL', list)
end
