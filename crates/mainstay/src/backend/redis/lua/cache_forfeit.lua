-- Ends a lease without a value.
-- KEYS[1] lease
-- ARGV[1] lease token
-- RETURNS 1 ended | 0 was not the caller's
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
