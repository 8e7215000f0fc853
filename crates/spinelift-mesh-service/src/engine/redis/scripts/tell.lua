-- Gives a node the turn to tell the receiver of a batch that so many of its jobs have ended, unless
-- somebody else is telling, or has told that or more.
local batch, token, lease, ended = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local name = P .. 'batch:' .. batch
local lock = P .. 'telling:' .. batch
local owner = redis.call('GET', lock)
if owner == token then
  return 'turn'
end
local known = fields(name, 'id', 'told', 'finished_at')
if not known.id or known.finished_at or tonumber(known.told or 0) >= ended then
  return 'told'
elseif owner then
  redis.call('SET', P .. 'awaited:telling:' .. batch, '', 'PX', lease)
  return 'busy'
end
redis.call('SET', lock, token, 'PX', lease)
redis.call('HSET', name, 'told', ended)
return 'turn'
