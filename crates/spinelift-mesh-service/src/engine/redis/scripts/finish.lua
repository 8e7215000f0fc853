-- Ends an attempt and its job, if the attempt is still the latest. The node that ended it makes
-- the delivery, if it wants to: it knows what progress is still being told.
local id, token, stamp, hold_token, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5])
local kind = ARGV[6]
even_if_full()
local job = job_of(id)
if not job then
  return { 'superseded' }
end
if job.ended_by == token then
  local delivery = 'msg_' .. stamp
  local known = fields(P .. 'delivery:' .. delivery, 'token', 'receiver')
  if known.token and known.token ~= '' and known.token == hold_token then
    return { 'recorded', delivery, known.receiver }
  end
  return { 'recorded' }
end
if job.state ~= 'running' or job.token ~= token then
  return { 'superseded' }
end
local holder = hold_token ~= '' and { token = hold_token, lease = lease } or nil
local delivery
if kind == 'made' then
  note_result(ARGV[7], ARGV[8], ARGV[9])
  delivery = conclude(id, job, 'completed', stamp, holder, 'ended_by', token, 'percent', 100,
    'result', ARGV[7], 'cached', 0)
elseif kind == 'cached' then
  if not reuse(ARGV[7]) then
    return { 'gone' }
  end
  delivery = conclude(id, job, 'completed', stamp, holder, 'ended_by', token, 'percent', 100,
    'result', ARGV[7], 'cached', 1)
else
  delivery = conclude(id, job, 'failed', stamp, holder, 'ended_by', token, 'percent', ARGV[7],
    'error', ARGV[8])
end
if delivery and holder then
  return { 'recorded', delivery, job.receiver }
end
return { 'recorded' }
