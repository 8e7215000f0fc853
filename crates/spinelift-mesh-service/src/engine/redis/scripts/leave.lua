-- Gives a lock back, if it is still one's own.
local name = P .. ARGV[1]
if redis.call('GET', name) == ARGV[2] then
  redis.call('DEL', name)
  redis.call('PUBLISH', P .. 'left', ARGV[1])
end
return 0
