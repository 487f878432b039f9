-- Takes a lock, or extends it for its holder.
-- The lock is a plain string, as `SET lock:name token NX PX ttl` writes it: both exclude each other.
-- KEYS[1] lock, KEYS[2] hash beside it: last fence, its owner and holder, last released owner
-- ARGV[1] owner, ARGV[2] ttl in milliseconds, ARGV[3] holder, ARGV[4] milliseconds the hash is kept
-- RETURNS {'acquired', fence as text} | {'held', milliseconds left or -1 for no end, holder}
local owner = redis.call('GET', KEYS[1])
local last = redis.call('HMGET', KEYS[2], 'fence', 'owner', 'holder')
if owner and owner ~= ARGV[1] then
  return {'held', redis.call('PTTL', KEYS[1]), last[2] == owner and last[3] or ''}
end
local fence = last[1]
if not owner or last[2] ~= owner then
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  fence = string.format('%.0f', math.max((tonumber(last[1]) or 0) + 1, now))
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('HSET', KEYS[2], 'fence', fence, 'owner', ARGV[1], 'holder', ARGV[3])
redis.call('PEXPIRE', KEYS[2], ARGV[4])
return {'acquired', fence}
