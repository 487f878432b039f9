-- Removes one session.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing
-- ARGV[1] id hash
-- RETURNS nil there is none | its new id hash | {} removed
local held = session(KEYS[1], KEYS[2])
if held and held.to then
  return held.to
end
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[3], ARGV[1])
return held and {}
