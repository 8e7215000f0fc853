-- A node lives, and goes on with what it has. Answers with what it has lost.
local node, node_token, lease = ARGV[1], ARGV[2], tonumber(ARGV[3])
local works = ARGV[4] == '1'
local signing = ARGV[5]
local at = 6
even_if_full()
local reply = { 1 }
local owner = redis.call('GET', P .. 'node:' .. node)
if owner and owner ~= node_token then
  reply[1] = 0
else
  redis.call('SET', P .. 'node:' .. node, node_token, 'PX', lease)
  redis.call('HSET', P .. 'leases', node, lease)
  if signing ~= '' then
    redis.call('HSET', P .. 'signing', node, signing)
  end
end

-- Nodes are heard without a gap since then: in a gap none of them could be.
local heard = fields(P .. 'heard', 'last')
if not heard.last or NOW - heard.last > lease * 2 / 3 then
  redis.call('HSET', P .. 'heard', 'since', NOW)
end
redis.call('HSET', P .. 'heard', 'last', NOW)
-- What is in memory has a name that lasts as long: one that has lost its data gets another.
redis.call('HSETNX', P .. 'heard', 'memory', NOW .. ':' .. node_token)

-- This is there as long as some node that runs jobs is heard.
if works and redis.call('PTTL', P .. 'works') < lease then
  redis.call('SET', P .. 'works', '', 'PX', lease)
end

-- The next group of arguments, which begins with how many of `size` it has.
local function each(size, work)
  local number = tonumber(ARGV[at])
  at = at + 1
  for _ = 1, number do
    work(unpack(ARGV, at, at + size - 1))
    at = at + size
  end
end

local lost_jobs, lost_deliveries = {}, {}
each(2, function(id, token)
  local job = job_of(id)
  if not job or job.state ~= 'running' or job.token ~= token then
    lost_jobs[#lost_jobs + 1] = id
    lost_jobs[#lost_jobs + 1] = token
    lost_jobs[#lost_jobs + 1] = not job and 'gone' or job.state == 'cancelled' and 'cancelled'
      or 'lease'
    return
  end
  local function claim(call)
    return call('XCLAIM', job.stream, GROUP, node, 0, job.entry, 'FORCE', 'JUSTID')
  end
  local reply_to = claim(redis.pcall)
  if reply_to.err then
    -- Somebody removed the group.
    redis.call('XGROUP', 'CREATE', job.stream, GROUP, '0', 'MKSTREAM')
    redis.call('SADD', P .. 'streams', job.stream)
    claim(redis.call)
  end
end)
each(2, function(id, token)
  local known = fields(P .. 'delivery:' .. id, 'state', 'token')
  if known.state == 'pending' and known.token == token then
    redis.call('ZADD', P .. 'held', NOW + lease, id)
  else
    lost_deliveries[#lost_deliveries + 1] = id
    lost_deliveries[#lost_deliveries + 1] = token
  end
end)
each(2, function(name, token)
  if redis.call('GET', P .. name) == token then
    redis.call('PEXPIRE', P .. name, lease)
  end
end)
-- Nodes that run know the secrets; a server that lost its data learns them from the first.
local others = {}
each(2, function(name, value)
  redis.call('HSETNX', P .. 'secrets', name, value)
  if redis.call('HGET', P .. 'secrets', name) ~= value then
    others[#others + 1] = name
  end
end)
reply[2], reply[3], reply[4] = lost_jobs, lost_deliveries, others
reply[5] = redis.call('HGET', P .. 'heard', 'memory')
reply[6] = redis.call('EXISTS', P .. 'works')
return reply
