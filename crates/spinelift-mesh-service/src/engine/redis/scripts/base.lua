-- Every key begins with the namespace in braces, so that one slot of a cluster holds them all.
-- Times are the server's, in milliseconds since 1970: the clocks of nodes may differ.
local P = KEYS[1]
local TIME = redis.call('TIME')
local NOW = TIME[1] * 1000 + math.floor(TIME[2] / 1000)

-- A server without memory refuses the first command of a script that needs some, and none after
-- it. Only what brings in new work is to be refused; what was begun goes on.
local function even_if_full()
  redis.call('DEL', P .. 'none')
end

-- Some fields of a hash by their names; `false` for those that it does not have.
local function fields(name, ...)
  local values = redis.call('HMGET', name, ...)
  local found = {}
  for i, field in ipairs({ ... }) do
    found[field] = values[i]
  end
  return found
end

local function job_of(id)
  local job = fields(P .. 'job:' .. id, 'state', 'token', 'attempts', 'client', 'server', 'batch',
    'receiver', 'seq', 'stream', 'entry', 'created_at', 'started_at', 'finished_at', 'result',
    'percent', 'node', 'ended_by', 'generation')
  return job.state and job
end

-- Does something whose repetition would answer otherwise, unless the same caller has had it done.
local function once(nonce, work)
  local known = redis.call('GET', P .. 'reply:' .. nonce)
  if known then
    return cjson.decode(known)
  end
  local reply = work()
  redis.call('SET', P .. 'reply:' .. nonce, cjson.encode(reply), 'PX', 60000)
  return reply
end

local function changed(id)
  redis.call('PUBLISH', P .. 'changed:' .. id, '')
end

-- Makes an array of what is to be answered: all fields of a hash, one after the other.
local function record(name)
  return redis.call('HGETALL', name)
end
