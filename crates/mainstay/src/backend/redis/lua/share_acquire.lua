-- Takes units of what several may hold, or extends their lease for who has them; who cannot have
-- them may take a place in the queue.
-- KEYS[1] owners by the end of their lease, KEYS[2] hash beside it: last fence, last released
-- owners, and of each holder fence, since when, holder
-- KEYS[3], KEYS[4] who waits
-- ARGV[1] owner, ARGV[2] ttl in milliseconds, ARGV[3] holder, ARGV[4] milliseconds the hash is kept
-- ARGV[5] milliseconds that a place lasts, 0 for none, ARGV[6] channel of wake-ups
-- ARGV[7] units that are wanted, ARGV[8] units that may be held by all
-- RETURNS as lock_acquire.lua; 'held' tells of the lease that ends first
local milliseconds, now = clock()
local held = units_held(milliseconds)
local waits = redis.call('EXISTS', KEYS[3]) == 1
local head = waits and first(milliseconds) or nil
local own = is_held(ARGV[1], milliseconds)
local taken = own and held or held + ARGV[7]
if own or (not head or head == ARGV[1]) and taken <= tonumber(ARGV[8]) then
  local fence, since = record(ARGV[1])
  if not own or not fence then
    fence, since = next_fence(redis.call('HGET', KEYS[2], 'fence'), now), milliseconds
    redis.call('HSET', KEYS[2], 'fence', fence)
  end
  redis.call('HSET', KEYS[2], 'h:' .. ARGV[1], string.format('%s %.0f %s', fence, since, ARGV[3]))
  redis.call('ZADD', KEYS[1], milliseconds + ARGV[2], ARGV[1])
  if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[2])
  end
  redis.call('PEXPIRE', KEYS[2], ARGV[4])
  if waits then
    leave(ARGV[1])
    head = taken < tonumber(ARGV[8]) and first(milliseconds)
    if head then
      call(ARGV[6], head)
    end
  end
  return {'acquired', fence}
end
local before = queue_up(ARGV[1], ARGV[5], milliseconds, now)
local ending = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if ending[1] then
  local _, _, holder = record(ending[1])
  return {'held', math.max(ending[2] - milliseconds, 0), holder or '', before}
end
if not head then
  return {'held', 0, '', before}
end
call(ARGV[6], head)
return {'free', place_left(head, milliseconds), '', before}
