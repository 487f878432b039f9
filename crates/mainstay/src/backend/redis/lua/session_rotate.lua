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
if held.to then
  local by = held.by or ''
  if held.to ~= ARGV[2] then
    return by
  end
  -- The same call, sent again; or it has moved on since.
  held = session(KEYS[4], KEYS[2])
  if not held or held.to then
    return by
  end
  return {ms(ends(held) - now), ms(held.deadline - now)}
end
-- That it is asked for by this id is a use of it.
if held.from then
  local before = string.sub(KEYS[1], 1, -#ARGV[1] - 1) .. held.from
  local moved = read(before)
  if moved then
    redis.call('PEXPIRE', before, ms(moved.grace or ARGV[3]), 'LT')
  end
  held.from = nil
end
local moved = {v = 1, to = ARGV[2], auth = held.auth, grace = tonumber(ARGV[3])}
-- Until the new one is used: as long as the session may last.
local leads_until = held.deadline
if ARGV[4] == '' then
  held.auth, held.touched = now, now
  leads_until = math.min(now + ARGV[3], ends(held))
else
  held.from, moved.by = ARGV[1], ARGV[4]
end
local at = ends(held)
-- First what a full server does not refuse: it refuses nothing of a script that has written.
redis.call('RENAME', KEYS[1], KEYS[4])
redis.call('SET', KEYS[4], cmsgpack.pack(held), 'PXAT', ms(at))
redis.call('SET', KEYS[1], cmsgpack.pack(moved), 'PXAT', ms(leads_until))
-- A listing without members would be gone, and its time to live with it.
if redis.call('ZSCORE', KEYS[3], ARGV[1]) then
  redis.call('ZADD', KEYS[3], ms(at), ARGV[2])
  redis.call('ZREM', KEYS[3], ARGV[1])
end
return {ms(at - now), ms(held.deadline - now)}
