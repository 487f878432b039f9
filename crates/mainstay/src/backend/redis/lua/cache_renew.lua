-- Prolongs a lease.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] lease token, ARGV[2] lease time in milliseconds
-- RETURNS 1 prolonged | 0 it has ended
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[2], ARGV[2])
