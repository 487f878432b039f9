-- Frees a lock for its holder, or gives up a place in the queue, and wakes who comes next.
-- KEYS[1] lock, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] channel of wake-ups, ARGV[3] milliseconds the hash is kept
-- RETURNS 1 released, now or by an earlier call of the same owner | 0 not held by the owner
local owner = redis.call('GET', KEYS[1])
local held = owner == ARGV[1]
if held then
  redis.call('DEL', KEYS[1])
  redis.call('HSET', KEYS[2], 'released', ARGV[1])
  redis.call('PEXPIRE', KEYS[2], ARGV[3])
end
if redis.call('EXISTS', KEYS[3]) == 1 then
  leave(ARGV[1])
  local time = redis.call('TIME')
  local head = first(math.floor(time[1] * 1000 + time[2] / 1000))
  if head and (held or not owner) then
    call(ARGV[2], head)
  end
end
if held then
  return 1
end
return redis.call('HGET', KEYS[2], 'released') == ARGV[1] and 1 or 0
