-- How many deliveries wait, those that nodes have not counted.
return redis.call('ZCARD', P .. 'outbox')
