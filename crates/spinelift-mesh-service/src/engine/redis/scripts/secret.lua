-- The secret of a name, made of this if there is none.
redis.call('HSETNX', P .. 'secrets', ARGV[1], ARGV[2])
return redis.call('HGET', P .. 'secrets', ARGV[1])
