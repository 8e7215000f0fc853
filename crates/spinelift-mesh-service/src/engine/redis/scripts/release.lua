-- Gives a job back as if the attempt had never been made.
local id, token = ARGV[1], ARGV[2]
even_if_full()
local job = job_of(id)
if not job then
  return 'superseded'
end
local name = P .. 'job:' .. id
if redis.call('HGET', name, 'released_by') == token then
  return 'recorded'
end
if job.state ~= 'running' or job.token ~= token then
  return 'superseded'
end
redis.call('HSET', name, 'released_by', token)
requeue(id, job, tonumber(job.attempts) - 1)
return 'recorded'
