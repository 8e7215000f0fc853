-- Forgets a job that has ended, or a batch with all of its jobs: the results that nothing needs
-- any more, and the deliveries that are gone.
local id, nonce = ARGV[1], ARGV[2]
even_if_full()
return once(nonce, function()
  local unused, deliveries = {}, {}
  local job = job_of(id)
  if job then
    if job.state == 'queued' or job.state == 'running' then
      return { 'unfinished' }
    end
    forget_job(id, job, false, unused, deliveries)
    return { 'gone', unused, deliveries }
  end
  local batch = fields(P .. 'batch:' .. id, 'id', 'finished_at')
  if not batch.id then
    return { 'unknown' }
  elseif not batch.finished_at then
    return { 'unfinished' }
  end
  for _, member in ipairs(redis.call('ZRANGE', P .. 'members:' .. id, 0, -1)) do
    local member_job = job_of(member)
    if member_job then
      forget_job(member, member_job, false, unused, deliveries)
    end
  end
  forget_batch(id, deliveries)
  return { 'gone', unused, deliveries }
end)
