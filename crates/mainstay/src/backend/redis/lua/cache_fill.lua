-- Stores an entry if the lease still stands, and ends the lease.
-- A second fill with the lease that stored the entry answers as the first did.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] lease token, ARGV[2] entry, ARGV[3] ttl in milliseconds
-- RETURNS 1 stored | 0 superseded
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return redis.pcall('GET', KEYS[1]) == ARGV[2] and 1 or 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('DEL', KEYS[2])
changed(true)
return 1
