-- Forgets a job that has ended and what is known of it; into `unused` go the results that nothing
-- needs any more, into `deliveries` the names of those that are gone.
local function forget_job(id, job, keep_cached, unused, deliveries)
  forget_deliveries(id, deliveries)
  redis.call('ZREM', P .. 'all', id)
  redis.call('ZREM', P .. 'state:' .. job.state, id)
  redis.call('ZREM', P .. 'expirable', id)
  if job.batch then
    redis.call('ZREM', P .. 'members:' .. job.batch, id)
  end
  redis.call('DEL', P .. 'job:' .. id)
  if job.result and release(job.result, keep_cached) then
    unused[#unused + 1] = job.result
  end
end

local function forget_batch(id, deliveries)
  forget_deliveries(id, deliveries)
  redis.call('ZREM', P .. 'expirable', id)
  redis.call('DEL', P .. 'batch:' .. id, P .. 'members:' .. id)
end
