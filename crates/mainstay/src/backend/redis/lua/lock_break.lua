-- Frees a lock though its holder has not, notes who did that and why, and wakes who comes next.
-- KEYS[1] lock, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- ARGV[1] owner whose lock it is to be, ARGV[2] channel of wake-ups, ARGV[3] milliseconds the hash is
-- kept, ARGV[4] who frees it, ARGV[5] why
-- RETURNS 1 freed, now or by an earlier call of this kind | 0 it is not that owner's
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return redis.call('HGET', KEYS[2], 'broken') == ARGV[1] and 1 or 0
end
local milliseconds = clock()
redis.call('HSET', KEYS[2], 'broken', ARGV[1], 'broken_at', milliseconds, 'broken_by', ARGV[4],
  'broken_why', ARGV[5])
redis.call('DEL', KEYS[1])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
local head = first(milliseconds)
if head then
  call(ARGV[2], head)
end
return 1
