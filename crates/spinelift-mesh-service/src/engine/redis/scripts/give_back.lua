-- Deliveries that a node holds and will not make, each as its id and token.
even_if_full()
for i = 1, #ARGV, 2 do
  local known = fields(P .. 'delivery:' .. ARGV[i], 'token', 'receiver', 'state')
  if known.state == 'pending' and known.token == ARGV[i + 1] then
    wait_until(ARGV[i], known.receiver, NOW)
  end
end
redis.call('PUBLISH', P .. 'due', '')
return 0
