-- The server writes and reads.
redis.call('SET', P .. 'touched', NOW)
return redis.call('GET', P .. 'touched')
