-- Stores a session under its user's epoch and lists it, if the user may have one more.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing; the records of others that end start as KEYS[1] does
-- ARGV[1] user, ARGV[2] id hash, ARGV[3] idle ms, ARGV[4] absolute ms, ARGV[5] sessions that the user
-- may have or 0, ARGV[6] '1' when others end for it, ARGV[7] '1' when nobody has logged in,
-- then pairs of field, value
-- RETURNS sessions that ended for it | -1 when there is no room
local idle, deadline = tonumber(ARGV[3]), now + ARGV[4]
local at = ends(now, idle, deadline)
local epoch, ended = '0', 0
if ARGV[7] ~= '1' then
  redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ms(now))
  local most = tonumber(ARGV[5])
  if most > 0 and not redis.call('ZSCORE', KEYS[3], ARGV[2]) then
    local over = redis.call('ZCARD', KEYS[3]) - most + 1
    if over > 0 and ARGV[6] ~= '1' then
      return -1
    end
    if over > 0 then
      local prefix = string.sub(KEYS[1], 1, -#ARGV[2] - 1)
      local oldest = redis.call('ZPOPMIN', KEYS[3], over)
      for i = 1, #oldest, 2 do
        redis.call('DEL', prefix .. oldest[i])
        ended = ended + 1
      end
    end
  end
  epoch = redis.call('HGET', KEYS[2], 'epoch')
  if not epoch then
    epoch = ms(time[1] * 1000000 + time[2])
    redis.call('HSET', KEYS[2], 'epoch', epoch)
  end
  redis.call('HSET', KEYS[1], 'user', ARGV[1])
  redis.call('ZADD', KEYS[3], ms(at), ARGV[2])
  -- The epoch must outlive every session that it makes valid.
  local keep = ms(math.max(redis.call('PTTL', KEYS[2]), ARGV[4] + 60000))
  redis.call('PEXPIRE', KEYS[2], keep)
  redis.call('PEXPIRE', KEYS[3], keep)
end
redis.call('HSET', KEYS[1], 'v', 1, 'epoch', epoch, 'created', ms(now), 'auth', ms(now),
  'touched', ms(now), 'idle', ARGV[3], 'deadline', ms(deadline), unpack(ARGV, 8))
redis.call('PEXPIREAT', KEYS[1], ms(at))
return ended
