-- Stores a new job, or finds the one that has its id.
local job = {
  id = ARGV[1], nonce = ARGV[2], request = ARGV[5], base_url = ARGV[6], client = ARGV[7],
  request_id = ARGV[8], server = ARGV[9], receiver = ARGV[10], generation = ARGV[11],
}
local known = fields(P .. 'job:' .. job.id, 'state', 'nonce')
if known.nonce == job.nonce then
  return { 'created' }
elseif known.state then
  return { 'existing', record(P .. 'job:' .. job.id) }
elseif is_taken(job.id) then
  return { 'conflict' }
end
local refused = no_room(job.client, 1, tonumber(ARGV[3]), tonumber(ARGV[4]))
if refused then
  return refused
end
add_job(job)
return { 'created' }
