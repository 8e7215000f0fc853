-- Notes the lease of a node, and answers with the nodes that live with another one.
local node, lease = ARGV[1], tonumber(ARGV[2])
even_if_full()
redis.call('HSET', P .. 'leases', node, lease)
local others = {}
for _, each in ipairs(leases()) do
  if each[2] ~= lease then
    others[#others + 1] = each
  end
end
return others
