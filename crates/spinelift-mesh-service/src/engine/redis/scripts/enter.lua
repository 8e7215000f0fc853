-- Takes a lock that expires, or finds that another has it.
local name, token, lease = P .. ARGV[1], ARGV[2], ARGV[3]
if redis.call('SET', name, token, 'NX', 'PX', lease) then
  return 1
end
if redis.call('GET', name) == token then
  return 1
end
-- Who has it is to say when it is free.
redis.call('SET', P .. 'awaited:' .. ARGV[1], '', 'PX', lease)
return 0
