-- Writes down that a session is used.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing, KEYS[4] the id before, whose grace begins, if any
-- ARGV[1] id hash
-- RETURNS nil there is none | its new id hash | {ms since the epoch, when it was touched before}
local held = session(KEYS[1], KEYS[2])
if not held or held.to then
  return held and held.to
end
if KEYS[4] then
  redis.call('HDEL', KEYS[1], 'from')
  local grace = redis.call('HGET', KEYS[4], 'grace')
  if grace then
    redis.call('PEXPIRE', KEYS[4], grace, 'LT')
  end
end
if (now - held.touched) * 20 > held.idle then
  redis.call('HSET', KEYS[1], 'touched', ms(now))
  follow(KEYS[1], KEYS[3], ARGV[1], now, held.idle, held.deadline)
end
return {ms(now), ms(held.touched)}
