-- Frees a lock for its holder, or gives up a place in the queue, and wakes who comes next.
-- KEYS[1] lock, KEYS[2] hash beside it, as in lock_acquire.lua, KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] channel of wake-ups, ARGV[3] milliseconds the hash is kept
-- RETURNS 1 released, now or by an earlier call of the same owner | 0 not held by the owner
local owner = redis.call('GET', KEYS[1])
local held = owner == ARGV[1]
if held then
  redis.call('DEL', KEYS[1])
  -- Without memory a release is not remembered, and is a release all the same. The hash is new, or
  -- was never told of a release: it must end, too.
  if redis.pcall('HSET', KEYS[2], 'released', ARGV[1]) == 1 then
    redis.call('PEXPIRE', KEYS[2], ARGV[3])
  end
end
local waiting = redis.call('EXISTS', KEYS[3]) == 1
if held and not waiting then
  return 1
end
-- PRELUDE
if waiting then
  leave(ARGV[1])
  local head = first(clock())
  if head and (held or not owner) then
    call(ARGV[2], head)
  end
end
if held or redis.call('HGET', KEYS[2], 'released') == ARGV[1] then
  return 1
end
for _, released in ipairs(redis.call('HMGET', KEYS[2], 'r0', 'r1', 'r2', 'r3', 'r4', 'r5', 'r6', 'r7')) do
  if released == ARGV[1] then
    return 1
  end
end
return 0
