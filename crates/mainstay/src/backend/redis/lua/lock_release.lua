-- Frees a lock for its holder and wakes those who wait.
-- KEYS[1] lock, KEYS[2] hash beside it
-- ARGV[1] owner, ARGV[2] channel of wake-ups, ARGV[3] milliseconds the hash is kept
-- RETURNS 1 released, now or by an earlier call of the same owner | 0 not held by the owner
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[2], 'released', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
  -- A login without the right to publish frees the lock all the same; waiters look again anyway.
  redis.pcall('PUBLISH', ARGV[2], '')
  return 1
end
return redis.call('HGET', KEYS[2], 'released') == ARGV[1] and 1 or 0
