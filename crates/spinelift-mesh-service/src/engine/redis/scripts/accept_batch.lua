-- Stores a new batch and its jobs, or finds the one that has its id.
local id, nonce, fingerprint = ARGV[1], ARGV[2], ARGV[5]
local base_url, client, request_id = ARGV[6], ARGV[7], ARGV[8]
local callback_url, receiver = ARGV[9], ARGV[10]
local generation = ARGV[11]
local FIRST, EACH = 12, 4
local name = P .. 'batch:' .. id
local known = fields(name, 'nonce', 'fingerprint')
if known.nonce == nonce then
  return { 'created' }
elseif known.fingerprint then
  if known.fingerprint == fingerprint then
    return { 'existing', record(name) }
  end
  return { 'conflict', id }
elseif is_taken(id) then
  return { 'conflict', id }
end
for i = FIRST, #ARGV, EACH do
  if is_taken(ARGV[i]) then
    return { 'conflict', ARGV[i] }
  end
end
local total = (#ARGV - FIRST + 1) / EACH
local refused = no_room(client, total, tonumber(ARGV[3]), tonumber(ARGV[4]))
if refused then
  return refused
end
redis.call('HSET', name, 'id', id, 'nonce', nonce, 'fingerprint', fingerprint, 'base_url',
  base_url, 'total', total, 'completed', 0, 'failed', 0, 'created_at', NOW,
  'generation', generation)
note(name, 'callback_url', callback_url)
note(name, 'receiver', receiver)
for i = FIRST, #ARGV, EACH do
  add_job({
    id = ARGV[i], nonce = nonce, request = ARGV[i + 1], base_url = base_url, client = client,
    request_id = request_id, server = ARGV[i + 2], receiver = '', batch = id,
    generation = ARGV[i + 3],
  })
end
return { 'created' }
