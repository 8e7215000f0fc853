-- Ends a job that has not ended, or all of a batch. Who runs one of them is told, and makes the
-- delivery, as it knows what progress is still being told.
local id, nonce, stamp, lease = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
even_if_full()
return once(nonce, function()
  local ids = { id }
  if redis.call('EXISTS', P .. 'job:' .. id) == 0 then
    if redis.call('EXISTS', P .. 'batch:' .. id) == 0 then
      return { 'unknown' }
    end
    ids = redis.call('ZRANGE', P .. 'members:' .. id, 0, -1)
  end
  local reply = { 'ended' }
  for number, each in ipairs(ids) do
    local job = job_of(each)
    if job and (job.state == 'queued' or job.state == 'running') then
      reply[1] = 'now'
      local runs = job.state == 'running'
      local hold_token = stamp .. ':' .. number
      local holder = runs and { token = hold_token, lease = lease } or nil
      local name = number == 1 and stamp or stamp .. '_' .. number
      local delivery = conclude(each, job, 'cancelled', name, holder)
      if runs then
        local notice = {
          job = each, token = job.token, node = job.node, delivery = delivery or '',
          receiver = job.receiver or '', hold = hold_token,
        }
        local text = cjson.encode(notice)
        reply[#reply + 1] = text
        redis.call('PUBLISH', P .. 'cancelled', text)
      end
    end
  end
  return reply
end)
