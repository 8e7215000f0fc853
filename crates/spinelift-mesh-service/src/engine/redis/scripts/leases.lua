-- The leases of nodes that live, each as name and milliseconds; those of nodes that are gone are
-- forgotten, with what they signed with.
local function leases()
  local living = {}
  local all = redis.call('HGETALL', P .. 'leases')
  for i = 1, #all, 2 do
    if redis.call('EXISTS', P .. 'node:' .. all[i]) == 1 then
      living[#living + 1] = { all[i], tonumber(all[i + 1]) }
    else
      redis.call('HDEL', P .. 'leases', all[i])
      redis.call('HDEL', P .. 'signing', all[i])
    end
  end
  return living
end
