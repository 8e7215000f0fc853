-- A node begins no more jobs. If it has just been woken, another is.
if redis.call('ZREM', P .. 'idle', ARGV[1]) == 0 then
  wake()
end
return 0
