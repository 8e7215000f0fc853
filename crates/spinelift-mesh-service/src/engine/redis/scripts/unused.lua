-- Those of these results that are not known.
local unused = {}
for _, object in ipairs(ARGV) do
  if redis.call('EXISTS', P .. 'result:' .. object) == 0 then
    unused[#unused + 1] = object
  end
end
return unused
