-- Ends a lease without an entry, and says why if the load failed.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] lease token, ARGV[2] what stands in place of the lease, ARGV[3] for how many milliseconds
-- RETURNS 1 ended | 0 was not the caller's
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return 0
end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[2])
else
  redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
end
changed(false)
return 1
