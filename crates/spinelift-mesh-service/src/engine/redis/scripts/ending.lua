-- What the end of a job brings about, whoever ended it.
-- `expirable` has the jobs and batches that ended and that nobody has to be told of any more.
local function count(batch, state, delivery)
  local name = P .. 'batch:' .. batch
  if redis.call('EXISTS', name) == 0 then
    return
  end
  redis.call('HINCRBY', name, state == 'completed' and 'completed' or 'failed', 1)
  local known = fields(name, 'total', 'completed', 'failed', 'created_at', 'finished_at',
    'receiver', 'generation')
  local ended = tonumber(known.completed) + tonumber(known.failed)
  if not known.finished_at and ended >= tonumber(known.total) then
    local finished = math.max(NOW, tonumber(known.created_at))
    redis.call('HSET', name, 'finished_at', finished)
    if known.receiver then
      deliver(delivery, batch, known.generation, known.receiver)
    else
      redis.call('ZADD', P .. 'expirable', finished, batch)
    end
  end
  changed(batch)
end

-- Ends a job that has not ended. `stamp` makes the names of deliveries.
local function conclude(id, job, state, stamp, holder, ...)
  drop(job.stream, job.entry)
  -- Not before it began, even if the clock was set back.
  local finished = math.max(NOW, tonumber(job.started_at or job.created_at))
  local name = P .. 'job:' .. id
  redis.call('HSET', name, 'state', state, 'finished_at', finished, ...)
  redis.call('HDEL', name, 'stream', 'entry')
  redis.call('ZREM', P .. 'state:' .. job.state, id)
  redis.call('ZADD', P .. 'state:' .. state, job.seq, id)
  if redis.call('HINCRBY', P .. 'clients', job.client, -1) <= 0 then
    redis.call('HDEL', P .. 'clients', job.client)
  end
  local delivery = 'msg_' .. stamp
  if job.receiver then
    deliver(delivery, id, job.generation, job.receiver, holder)
  else
    redis.call('ZADD', P .. 'expirable', finished, id)
  end
  if job.batch then
    count(job.batch, state, delivery .. 'b')
  end
  changed(id)
  return job.receiver and delivery
end
