-- A page of the list of jobs, newest first: each as its place and its fields, one more than wanted
-- if there are more.
local after, limit, batch = ARGV[1], tonumber(ARGV[2]) + 1, ARGV[3]
local states = {}
for i = 4, #ARGV do
  states[#states + 1] = ARGV[i]
end
local from = after == '' and '+inf' or '(' .. after

local function some(name, most, above)
  return redis.call('ZREVRANGEBYSCORE', name, above, '-inf', 'WITHSCORES', 'LIMIT', 0, most)
end

local found = {}
local function add(pairs_of, wanted)
  for i = 1, #pairs_of, 2 do
    local id, seq = pairs_of[i], pairs_of[i + 1]
    if not wanted or wanted[redis.call('HGET', P .. 'job:' .. id, 'state')] then
      found[#found + 1] = { tonumber(seq), id }
    end
  end
end

if batch ~= '' then
  local wanted
  for _, state in ipairs(states) do
    wanted = wanted or {}
    wanted[state] = true
  end
  while #found < limit do
    local part = some(P .. 'members:' .. batch, 200, from)
    add(part, wanted)
    if #part < 400 then
      break
    end
    from = '(' .. part[#part]
  end
elseif #states == 0 then
  add(some(P .. 'all', limit, from))
else
  for _, state in ipairs(states) do
    add(some(P .. 'state:' .. state, limit, from))
  end
end
table.sort(found, function(a, b) return a[1] > b[1] end)
local page = {}
for i = 1, math.min(#found, limit) do
  page[i] = { string.format('%.0f', found[i][1]), record(P .. 'job:' .. found[i][2]) }
end
return page
