-- Moves a user's epoch and takes one session along, which invalidates all others.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing
-- ARGV[1] id hash
-- RETURNS nil there is no such session | its new id hash | {others that were listed}
local held = session(KEYS[1], KEYS[2])
if not held or held.to then
  return held and held.to
end
if held.epoch == 0 then
  return {0}
end
held.epoch = math.max(held.epoch + 1, time[1] * 1000000 + time[2])
local listed = redis.call('ZCOUNT', KEYS[3], '(' .. ms(now), '+inf')
local keep = redis.call('PTTL', KEYS[2])
-- First what a full server does not refuse: it refuses nothing of a script that has written.
redis.call('UNLINK', KEYS[3])
redis.call('SET', KEYS[2], ms(held.epoch), 'KEEPTTL')
redis.call('SET', KEYS[1], cmsgpack.pack(held), 'KEEPTTL')
redis.call('ZADD', KEYS[3], ms(ends(held)), ARGV[1])
redis.call('PEXPIRE', KEYS[3], keep)
return {math.max(listed - 1, 0)}
