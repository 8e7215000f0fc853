-- Notes the lease of a node and what it signs with, if it does, and answers with the nodes that live
-- with another lease, and with those that sign with something else.
local node, lease, signing = ARGV[1], tonumber(ARGV[2]), ARGV[3]
even_if_full()
redis.call('HSET', P .. 'leases', node, lease)
if signing ~= '' then
  redis.call('HSET', P .. 'signing', node, signing)
end
local others, strangers = {}, {}
for _, each in ipairs(leases()) do
  if each[2] ~= lease then
    others[#others + 1] = each
  end
  local its = redis.call('HGET', P .. 'signing', each[1])
  if signing ~= '' and its and its ~= signing then
    strangers[#strangers + 1] = each[1]
  end
end
return { others, strangers }
