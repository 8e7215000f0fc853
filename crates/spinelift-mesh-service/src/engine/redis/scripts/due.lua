-- Hands deliveries that are due to a node, oldest first, no more of one receiver than it has room
-- for; what nobody has made in the time that he had for it is due again. Answers with the time
-- until the next is due, and the deliveries as id and receiver.
local token, lease, want, lanes =
  ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local room, known = {}, 0
for i = 5, #ARGV, 2 do
  room[ARGV[i]] = tonumber(ARGV[i + 1])
  known = known + 1
end
even_if_full()
for _, id in ipairs(redis.call('ZRANGEBYSCORE', P .. 'held', '-inf', NOW, 'LIMIT', 0, 100)) do
  local receiver = redis.call('HGET', P .. 'delivery:' .. id, 'receiver')
  if receiver then
    wait_until(id, receiver, NOW)
  else
    redis.call('ZREM', P .. 'held', id)
  end
end
local reply = { -1 }
local receivers = redis.call('ZRANGEBYSCORE', P .. 'receivers', '-inf', NOW, 'LIMIT', 0, known + 64)
for _, receiver in ipairs(receivers) do
  local most = math.min(room[receiver] or lanes, want)
  if most > 0 then
    local ids = redis.call('ZRANGEBYSCORE', P .. 'due:' .. receiver, '-inf', NOW, 'LIMIT', 0, most)
    for _, id in ipairs(ids) do
      hold(id, receiver, token, NOW + lease)
      reply[#reply + 1] = id
      reply[#reply + 1] = receiver
      want = want - 1
    end
  end
end
local next_one = redis.call('ZRANGEBYSCORE', P .. 'receivers', '(' .. NOW, '+inf', 'WITHSCORES',
  'LIMIT', 0, 1)
if next_one[2] then
  reply[1] = tonumber(next_one[2]) - NOW
end
return reply
