-- The result that was made earlier of the same.
return redis.call('HGET', P .. 'cache_keys', ARGV[1])
