-- Writes down that a session is used.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing, KEYS[4] the id before, whose grace begins, if any
-- ARGV[1] id hash
-- RETURNS nil there is none | its new id hash | {ms since the epoch, when it was touched before}
local held = session(KEYS[1], KEYS[2])
if not held or held.to then
  return held and held.to
end
local before, is_due = held.touched, (now - held.touched) * 20 > held.idle
if KEYS[4] then
  -- First what a full server does not refuse: it refuses nothing of a script that has written.
  local moved = read(KEYS[4])
  if moved and moved.grace then
    redis.call('PEXPIRE', KEYS[4], ms(moved.grace), 'LT')
  end
  held.from = nil
end
if is_due then
  held.touched = now
end
if is_due or KEYS[4] then
  store(KEYS[1], held, KEYS[3], ARGV[1])
end
return {ms(now), ms(before)}
