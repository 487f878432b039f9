-- Ends a hold for its holder, notes who did that and why, and wakes who comes next.
-- KEYS[1] owners by the end of their lease, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] channel of wake-ups, ARGV[3] milliseconds the hash is kept, ARGV[4] who ends
-- it, ARGV[5] why
-- RETURNS 1 ended, now or by an earlier call of this kind | 0 that owner holds nothing
local milliseconds = clock()
if not is_held(ARGV[1], milliseconds) then
  return redis.call('HGET', KEYS[2], 'broken') == ARGV[1] and 1 or 0
end
redis.call('HSET', KEYS[2], 'broken', ARGV[1], 'broken_at', milliseconds, 'broken_by', ARGV[4],
  'broken_why', ARGV[5])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
drop(ARGV[1])
local head = first(milliseconds)
if head then
  call(ARGV[2], head)
end
return 1
