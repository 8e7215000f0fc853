-- All deliveries of a job or batch, oldest first, each with its log.
local all = {}
for i, id in ipairs(redis.call('LRANGE', P .. 'deliveries:' .. ARGV[1], 0, -1)) do
  all[i] = { record(P .. 'delivery:' .. id), redis.call('LRANGE', P .. 'log:' .. id, 0, -1) }
end
return all
