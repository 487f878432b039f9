-- Frees a lock for its holder, or gives up a place in the queue, and wakes who comes next.
-- KEYS[1] lock, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] channel of wake-ups, ARGV[3] milliseconds the hash is kept
-- RETURNS 1 released, now or by an earlier call of the same owner | 0 not held by the owner
local owner = redis.call('GET', KEYS[1])
local held = owner == ARGV[1]
if held then
  redis.call('DEL', KEYS[1])
  remember_release(ARGV[1], ARGV[3])
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  leave(ARGV[1])
  local head = first(clock())
  if head and (held or not owner) then
    call(ARGV[2], head)
  end
end
return held and 1 or was_released(ARGV[1])
