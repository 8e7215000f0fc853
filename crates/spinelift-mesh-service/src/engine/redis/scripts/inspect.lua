-- What the server that has the keys says of itself.
local said = {}
for i, section in ipairs({ 'server', 'memory', 'persistence', 'replication' }) do
  said[i] = redis.call('INFO', section)
end
return table.concat(said, '\n')
