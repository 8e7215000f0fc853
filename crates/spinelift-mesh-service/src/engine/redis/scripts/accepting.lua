-- Whether there is room for so many more jobs of a client; if not, the answer that says so.
local function no_room(client, jobs, queue_length, per_client)
  if redis.call('ZCARD', P .. 'state:queued') + jobs > queue_length then
    return { 'full' }
  end
  local unfinished = tonumber(redis.call('HGET', P .. 'clients', client) or 0)
  if unfinished + jobs > per_client then
    return { 'quota', unfinished }
  end
end

-- Fields that may be empty are absent then.
local function note(name, field, value)
  if value ~= '' then
    redis.call('HSET', name, field, value)
  end
end

local function add_job(job)
  local seq = redis.call('INCR', P .. 'seq')
  local name = P .. 'job:' .. job.id
  redis.call('HSET', name, 'id', job.id, 'request', job.request, 'base_url', job.base_url,
    'client', job.client, 'server', job.server, 'state', 'queued', 'attempts', 0, 'percent', 0,
    'created_at', NOW, 'seq', seq, 'nonce', job.nonce, 'generation', job.generation)
  note(name, 'request_id', job.request_id)
  note(name, 'receiver', job.receiver)
  redis.call('ZADD', P .. 'all', seq, job.id)
  redis.call('ZADD', P .. 'state:queued', seq, job.id)
  if job.batch then
    redis.call('HSET', name, 'batch', job.batch)
    redis.call('ZADD', P .. 'members:' .. job.batch, seq, job.id)
  end
  redis.call('HINCRBY', P .. 'clients', job.client, 1)
  enqueue(job.id, job.client, job.server, false)
end

local function is_taken(id)
  return redis.call('EXISTS', P .. 'job:' .. id, P .. 'batch:' .. id) > 0
end
