-- Jobs wait in one stream for each pair of client and server; those that were begun before in
-- another one, which is read first. A stream is there as long as it has an entry, and an entry
-- until its job has ended or waits anew.
-- `turns` has the clients that something waits for, `turns:<client>` their servers, each scored by
-- when it had its turn.
-- `idle` has the nodes that have workers without a job, each scored by how many jobs it has.
local GROUP = 'workers'

local function stream_of(client, server, again)
  return P .. (again and 'again:' or 'jobs:') .. client .. '\t' .. server
end

-- Wakes one node, of those with workers to spare the one that has the least to do: more would find
-- nothing. Of those that are gone nobody listens; in a cluster some that listen are not counted.
local function wake()
  for _ = 1, 4 do
    local node = redis.call('ZPOPMIN', P .. 'idle')[1]
    if not node or redis.call('PUBLISH', P .. 'work:' .. node, '') > 0 then
      return
    end
  end
end

local function enqueue(id, client, server, again)
  local stream = stream_of(client, server, again)
  if redis.call('EXISTS', stream) == 0 then
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0', 'MKSTREAM')
    redis.call('SADD', P .. 'streams', stream)
  end
  local entry = redis.call('XADD', stream, '*', 'job', id)
  local servers = P .. 'turns:' .. client
  if not redis.call('ZSCORE', servers, server) then
    local turn = redis.call('INCR', P .. 'turn')
    redis.call('ZADD', servers, turn, server)
    redis.call('ZADD', P .. 'turns', 'NX', turn, client)
  end
  redis.call('HSET', P .. 'job:' .. id, 'stream', stream, 'entry', entry, 'queued_at', NOW)
  wake()
end

-- Takes an entry out of its stream, whoever may have it.
local function drop(stream, entry)
  if not stream or not entry then
    return
  end
  redis.call('XACK', stream, GROUP, entry)
  redis.call('XDEL', stream, entry)
  if redis.call('XLEN', stream) == 0 then
    redis.call('DEL', stream)
    redis.call('SREM', P .. 'streams', stream)
  end
end

-- Puts a job that was begun back.
local function requeue(id, job, attempts)
  drop(job.stream, job.entry)
  redis.call('HSET', P .. 'job:' .. id, 'state', 'queued', 'attempts', attempts, 'percent', 0,
    'token', '', 'node', '')
  redis.call('ZREM', P .. 'state:running', id)
  redis.call('ZADD', P .. 'state:queued', job.seq, id)
  enqueue(id, job.client, job.server, true)
  changed(id)
end
