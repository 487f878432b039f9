-- Takes a lock, or extends it for its holder; who cannot have it may take a place in the queue.
-- The lock is a plain string, as `SET lock:name token NX PX ttl` writes it: both exclude each other.
-- KEYS[1] lock, KEYS[2] hash beside it: last fence, its owner, holder and since when; 'released', the
-- last owner who has released, and 'r0' to 'r7', those before, the latest at 'r' .. last
-- KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] ttl in milliseconds, ARGV[3] holder, ARGV[4] milliseconds the hash is kept
-- ARGV[5] milliseconds that a place lasts, 0 for none, ARGV[6] channel of wake-ups
-- RETURNS {'acquired', fence as text}
--   | {'held', milliseconds left or -1 for no end, holder, how many come before or -1}
--   | {'free', milliseconds that the first in the queue has left, '', how many come before or -1}
local HOUR = 3600000000
-- Notes a new holder, and when it was given the lock; its fence.
local function hand_out(now)
  local last = redis.call('HMGET', KEYS[2], 'fence', 'owner', 'released', 'last')
  local previous = tonumber(last[1]) or 0
  local fence = string.format('%.0f', math.max(previous + 1, now))
  local since = string.format('%.0f', math.floor(now / 1000))
  if last[3] and last[3] == last[2] then
    local slot = ((tonumber(last[4]) or 0) + 1) % 8
    redis.call('HSET', KEYS[2], 'fence', fence, 'owner', ARGV[1], 'holder', ARGV[3], 'since', since,
      'r' .. slot, last[3], 'last', slot)
  else
    redis.call('HSET', KEYS[2], 'fence', fence, 'owner', ARGV[1], 'holder', ARGV[3], 'since', since)
  end
  -- It is kept for far longer than an hour: not each time.
  if now - previous > HOUR or now < previous then
    redis.call('PEXPIRE', KEYS[2], ARGV[4])
  end
  return fence
end
local owner
local waiting = redis.call('EXISTS', KEYS[3]) == 1
if waiting then
  owner = redis.call('GET', KEYS[1])
else
  owner = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
  if not owner then
    local time = redis.call('TIME')
    return {'acquired', hand_out(time[1] * 1000000 + time[2])}
  end
end
-- PRELUDE
local milliseconds, now = clock()
local head = waiting and first(milliseconds) or nil
if owner == ARGV[1] or not owner and (not head or head == ARGV[1]) then
  if owner then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  else
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  end
  if waiting then
    leave(ARGV[1])
  end
  local last = redis.call('HMGET', KEYS[2], 'owner', 'fence')
  return {'acquired', owner and last[1] == owner and last[2] or hand_out(now)}
end
local before = queue_up(ARGV[1], ARGV[5], milliseconds, now)
if owner then
  local last = redis.call('HMGET', KEYS[2], 'owner', 'holder')
  return {'held', redis.call('PTTL', KEYS[1]), last[1] == owner and last[2] or '', before}
end
call(ARGV[6], head)
return {'free', place_left(head, milliseconds), '', before}
