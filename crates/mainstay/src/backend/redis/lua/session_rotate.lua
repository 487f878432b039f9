-- Moves a session to another id; the old one leads there for a grace.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing, KEYS[4] record under the new id
-- ARGV[1] id hash, ARGV[2] new id hash, ARGV[3] grace ms, ARGV[4] what the new id follows from; without
-- it the user has authenticated, and nobody learns the new id by the old one
-- RETURNS nil there is none | {expires in ms, absolute in ms} | what the id follows from that came
-- first, or '' when it may not be known
local held = session(KEYS[1], KEYS[2])
if not held then
  return nil
end
if held.to and held.to ~= ARGV[2] then
  return redis.call('HGET', KEYS[1], 'by') or ''
end
if held.to then
  -- The same call, sent again; or it has moved on since.
  held = session(KEYS[4], KEYS[2])
  if not held or held.to then
    return redis.call('HGET', KEYS[1], 'by') or ''
  end
  return {ms(ends(held.touched, held.idle, held.deadline) - now), ms(held.deadline - now)}
end
-- That it is asked for by this id is a use of it.
local from = redis.call('HGET', KEYS[1], 'from')
if from then
  local before = string.sub(KEYS[1], 1, -#ARGV[1] - 1) .. from
  redis.call('PEXPIRE', before, redis.call('HGET', before, 'grace') or ARGV[3], 'LT')
  redis.call('HDEL', KEYS[1], 'from')
end
redis.call('RENAME', KEYS[1], KEYS[4])
redis.call('HSET', KEYS[1], 'v', 1, 'to', ARGV[2], 'auth', held.auth, 'grace', ARGV[3])
if ARGV[4] == '' then
  redis.call('HSET', KEYS[4], 'auth', ms(now), 'touched', ms(now))
  held.touched = now
  local at = math.min(now + ARGV[3], ends(now, held.idle, held.deadline))
  redis.call('PEXPIREAT', KEYS[1], ms(at))
else
  redis.call('HSET', KEYS[4], 'from', ARGV[1])
  redis.call('HSET', KEYS[1], 'by', ARGV[4])
  -- Until the new one is used: as long as the session may last.
  redis.call('PEXPIREAT', KEYS[1], ms(held.deadline))
end
local at = ends(held.touched, held.idle, held.deadline)
redis.call('PEXPIREAT', KEYS[4], ms(at))
-- A listing without members would be gone, and its time to live with it.
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  redis.call('ZADD', KEYS[3], ms(at), ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return {ms(at - now), ms(held.deadline - now)}
