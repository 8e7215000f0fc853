-- Begins attempts at as many jobs as wanted: the clients by turns, and of each the servers. How
-- many a node has to do with at a time is bounded for each server and for each client; what is
-- left is given for those of which there are some.
local node, nonce, want, cap, lease =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5]
local server_lanes, client_lanes = tonumber(ARGV[6]), tonumber(ARGV[7])
local server_room, client_room = {}, {}
local node_token, running = ARGV[9], ARGV[10]
local clients_from = 11 + 2 * tonumber(ARGV[8])
for i = 11, #ARGV, 2 do
  local room = i < clients_from and server_room or client_room
  room[ARGV[i]] = tonumber(ARGV[i + 1])
end
-- Each step looks at one server: others wait while a script runs.
local STEPS = 1000
local taken = {}

-- A node that has workers left is woken when there is more.
local function rest()
  if #taken < want then
    redis.call('ZADD', P .. 'idle', running, node_token)
  else
    redis.call('ZREM', P .. 'idle', node_token)
  end
end

even_if_full()
-- The same call, whose answer was lost.
local before = redis.call('GET', P .. 'took:' .. node)
if before and before:sub(1, #nonce) == nonce then
  for id in before:sub(#nonce + 1):gmatch('[^\n]+') do
    local job = job_of(id)
    if job and job.state == 'running' and job.token:sub(1, #nonce) == nonce then
      taken[#taken + 1] = record(P .. 'job:' .. id)
    end
  end
  rest()
  return taken
end

local function read(stream)
  if redis.call('EXISTS', stream) == 0 then
    return nil
  end
  local function attempt(call)
    return call('XREADGROUP', 'GROUP', GROUP, node, 'COUNT', 1, 'STREAMS', stream, '>')
  end
  local reply = attempt(redis.pcall)
  if reply and reply.err then
    if not reply.err:find('NOGROUP') then
      error(reply.err)
    end
    -- Somebody removed it. Entries of running jobs come again, and are left alone below.
    redis.call('XGROUP', 'CREATE', stream, GROUP, '0')
    redis.call('SADD', P .. 'streams', stream)
    reply = attempt(redis.call)
  end
  if reply then
    local entry = reply[1][2][1]
    return entry[1], entry[2][2]
  end
end

-- The next job of a stream that waits: what is read besides belongs to nothing any more.
local function next_of(stream)
  while true do
    local entry, id = read(stream)
    if not entry then
      return nil
    end
    local job = job_of(id)
    local is_current = job and job.stream == stream and job.entry == entry
    if is_current and job.state == 'queued' then
      return id, job
    elseif not is_current then
      drop(stream, entry)
    end
  end
end

local function start(id, job)
  local token = nonce .. ':' .. #taken
  local attempts = tonumber(job.attempts)
  local name = P .. 'job:' .. id
  -- One that has no attempt left is begun to be failed by who gets it.
  local spent = attempts >= cap
  redis.call('HSET', name, 'state', 'running', 'attempts', spent and attempts or attempts + 1,
    'percent', 0, 'token', token, 'node', node, 'started_at',
    math.max(NOW, tonumber(job.created_at)), 'spent', spent and 1 or 0)
  redis.call('ZREM', P .. 'state:queued', id)
  redis.call('ZADD', P .. 'state:running', job.seq, id)
  changed(id)
  taken[#taken + 1] = record(name)
end

-- Begins a job of a client, if it has one that may be begun here.
local steps = 0
local function take_from(client)
  local servers = P .. 'turns:' .. client
  local passed = 0
  while steps < STEPS do
    steps = steps + 1
    local server = redis.call('ZRANGE', servers, passed, passed)[1]
    if not server then
      return false
    end
    -- What comes from no server waits for none.
    local room = server == '' and 1
      or math.min(server_room[server] or server_lanes, client_room[client] or client_lanes)
    if room <= 0 then
      passed = passed + 1
    else
      local id, job = next_of(stream_of(client, server, true))
      if not id then
        id, job = next_of(stream_of(client, server, false))
      end
      if id then
        if server ~= '' then
          server_room[server] = (server_room[server] or server_lanes) - 1
          client_room[client] = (client_room[client] or client_lanes) - 1
        end
        redis.call('ZADD', servers, redis.call('INCR', P .. 'turn'), server)
        start(id, job)
        return true
      end
      redis.call('ZREM', servers, server)
    end
  end
  return false
end

local passed = 0
while #taken < want and steps < STEPS do
  local client = redis.call('ZRANGE', P .. 'turns', passed, passed)[1]
  if not client then
    break
  end
  if take_from(client) then
    redis.call('ZADD', P .. 'turns', redis.call('INCR', P .. 'turn'), client)
  elseif redis.call('EXISTS', P .. 'turns:' .. client) == 0 then
    redis.call('ZREM', P .. 'turns', client)
  else
    passed = passed + 1
  end
end
if #taken > 0 then
  local note = { nonce }
  for _, job in ipairs(taken) do
    for i = 1, #job, 2 do
      if job[i] == 'id' then
        note[#note + 1] = '\n' .. job[i + 1]
      end
    end
  end
  redis.call('SET', P .. 'took:' .. node, table.concat(note), 'PX', lease)
end
rest()
return taken
