-- Gives units back for their holder, or gives up a place in the queue, and wakes who comes next.
-- KEYS[1] owners by the end of their lease, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] channel of wake-ups, ARGV[3] milliseconds the hash is kept
-- RETURNS 1 released, now or by an earlier call of the same owner | 0 not held by the owner
local milliseconds = clock()
local held = is_held(ARGV[1], milliseconds)
drop(ARGV[1])
if held then
  remember_release(ARGV[1], ARGV[3])
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  leave(ARGV[1])
  local head = first(milliseconds)
  if head then
    call(ARGV[2], head)
  end
end
return held and 1 or was_released(ARGV[1])
