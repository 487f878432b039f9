-- Takes a lock, or extends it for its holder; who cannot have it may take a place in the queue.
-- The lock is a plain string, as `SET lock:name token NX PX ttl` writes it: both exclude each other.
-- KEYS[1] lock, KEYS[2] hash beside it: last fence, its owner, holder and since when, last released
-- owners
-- KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] ttl in milliseconds, ARGV[3] holder, ARGV[4] milliseconds the hash is kept
-- ARGV[5] milliseconds that a place lasts, 0 for none, ARGV[6] channel of wake-ups
-- RETURNS {'acquired', fence as text}
--   | {'held', milliseconds left or -1 for no end, holder, how many come before or -1}
--   | {'free', milliseconds that the first in the queue has left, '', how many come before or -1}
local owner = redis.call('GET', KEYS[1])
local waiting = redis.call('EXISTS', KEYS[3]) == 1
local milliseconds, now = clock()
local head = waiting and first(milliseconds) or nil
local last = redis.call('HMGET', KEYS[2], 'fence', 'owner', 'holder')
if owner == ARGV[1] or not owner and (not head or head == ARGV[1]) then
  local fence = last[1]
  if not owner or last[2] ~= owner then
    fence = next_fence(last[1], now)
    redis.call('HSET', KEYS[2], 'since', milliseconds)
  end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  redis.call('HSET', KEYS[2], 'fence', fence, 'owner', ARGV[1], 'holder', ARGV[3])
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  if waiting then
    leave(ARGV[1])
  end
  return {'acquired', fence}
end
local before = queue_up(ARGV[1], ARGV[5], milliseconds, now)
if owner then
  return {'held', redis.call('PTTL', KEYS[1]), last[2] == owner and last[3] or '', before}
end
call(ARGV[6], head)
return {'free', place_left(head, milliseconds), '', before}
