-- How many jobs wait, and for how many milliseconds the first of them.
local first = redis.call('ZRANGE', P .. 'state:queued', 0, 0)[1]
local since = first and redis.call('HGET', P .. 'job:' .. first, 'queued_at')
local age = since and math.max(0, NOW - tonumber(since)) or 0
return { redis.call('ZCARD', P .. 'state:queued'), age }
