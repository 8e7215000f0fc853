-- Forgets some of what ended longer ago than this, oldest first: their number, and the results that
-- nothing needs any more.
local before, nonce, most = NOW - ARGV[1], ARGV[2], ARGV[3]
even_if_full()
return once(nonce, function()
  local unused = { 0 }
  local ids = redis.call('ZRANGEBYSCORE', P .. 'expirable', '-inf', '(' .. string.format('%.0f', before), 'LIMIT', 0, most)
  for _, id in ipairs(ids) do
    local job = job_of(id)
    if job then
      forget_job(id, job, true, unused, {})
    else
      forget_batch(id, {})
    end
  end
  unused[1] = #ids
  return unused
end)
