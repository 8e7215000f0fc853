-- Takes a lock that expires, or finds that another has it.
local name, token, lease = P .. ARGV[1], ARGV[2], ARGV[3]
if redis.call('SET', name, token, 'NX', 'PX', lease) then
  return 1
end
return redis.call('GET', name) == token and 1 or 0
