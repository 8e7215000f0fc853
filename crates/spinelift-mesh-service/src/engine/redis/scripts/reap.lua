-- Looks at some of the streams for attempts that nobody has gone on with for a lease: their jobs
-- wait again. Answers with the next cursor, how many do, and those that have no attempt left, each
-- as id, token and number of attempts.
local cursor, lease, cap, round = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
-- One node at a time looks, whichever.
if cursor == '0' and not redis.call('SET', P .. 'reaping', '', 'NX', 'PX', round) then
  return { '0', 0, {} }
end
-- After an outage all nodes have a lease to be heard again.
local heard = fields(P .. 'heard', 'last', 'since')
if not heard.last or NOW - heard.last > lease * 2 / 3 or NOW - heard.since <= tonumber(lease) then
  return { '0', 0, {} }
end
even_if_full()
local part = redis.call('SSCAN', P .. 'streams', cursor, 'COUNT', 100)
local requeued, spent = 0, {}

local function look_at_entry(stream, entry, is_overdue)
  local found = redis.call('XRANGE', stream, entry, entry)[1]
  local id = found and found[2][2]
  local job = id and job_of(id)
  if not job or job.stream ~= stream or job.entry ~= entry then
    drop(stream, entry)
  elseif job.state == 'queued' then
    requeue(id, job, job.attempts)
  elseif not is_overdue then
    return
  elseif tonumber(job.attempts) >= cap then
    spent[#spent + 1] = { id, job.token, job.attempts }
  else
    requeue(id, job, job.attempts)
    requeued = requeued + 1
  end
end

-- Somebody removed the group, and with it the knowledge of who has what: all entries count as
-- handed out now. Their holders say otherwise within a lease, if they live.
local function renew_group(stream)
  redis.call('XGROUP', 'CREATE', stream, GROUP, '0')
  local all = redis.call('XREADGROUP', 'GROUP', GROUP, 'nobody', 'COUNT', 10000, 'STREAMS',
    stream, '>')
  for _, each in ipairs(all and all[1][2] or {}) do
    look_at_entry(stream, each[1], false)
  end
end

local function tidy_consumers(stream)
  for _, each in ipairs(redis.call('XINFO', 'CONSUMERS', stream, GROUP)) do
    local consumer = {}
    for i = 1, #each, 2 do
      consumer[each[i]] = each[i + 1]
    end
    if consumer.pending == 0 and redis.call('EXISTS', P .. 'node:' .. consumer.name) == 0 then
      redis.call('XGROUP', 'DELCONSUMER', stream, GROUP, consumer.name)
    end
  end
end

for _, stream in ipairs(part[2]) do
  local pending = redis.pcall('XPENDING', stream, GROUP, 'IDLE', lease, '-', '+', 1000)
  if not pending.err then
    for _, each in ipairs(pending) do
      look_at_entry(stream, each[1], true)
    end
    if ARGV[5] == '1' and redis.call('EXISTS', stream) == 1 then
      tidy_consumers(stream)
    end
  elseif redis.call('EXISTS', stream) == 1 then
    renew_group(stream)
  else
    redis.call('SREM', P .. 'streams', stream)
  end
end
return { part[1], requeued, spent }
