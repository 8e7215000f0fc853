-- Notes how far jobs have come, each as its id, the token of its attempt and the percentage.
for i = 1, #ARGV, 3 do
  local id, token, percent = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local job = fields(P .. 'job:' .. id, 'state', 'token', 'percent')
  if job.state == 'running' and job.token == token
    and tonumber(percent) > tonumber(job.percent) then
    redis.call('HSET', P .. 'job:' .. id, 'percent', percent)
    changed(id)
  end
end
return 0
