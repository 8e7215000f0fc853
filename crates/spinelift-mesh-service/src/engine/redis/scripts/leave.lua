-- Gives a lock back, if it is still one's own.
local name = P .. ARGV[1]
if redis.call('GET', name) == ARGV[2] then
  redis.call('DEL', name)
  -- All nodes hear of it, so only if one of them waits.
  if redis.call('DEL', P .. 'awaited:' .. ARGV[1]) == 1 then
    redis.call('PUBLISH', P .. 'left', ARGV[1])
  end
end
return 0
