-- Tells who holds a lock, and how many wait.
-- KEYS[1] lock, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- RETURNS {owner or nil, milliseconds left or -1 for no end, holder, fence, milliseconds held,
--   how many wait, milliseconds since it was last broken, by whom, why}; '' for what is not known
local time = redis.call('TIME')
local now = math.floor(time[1] * 1000 + time[2] / 1000)
local owner = redis.call('GET', KEYS[1])
local last = redis.call('HMGET', KEYS[2], 'owner', 'holder', 'fence', 'since', 'broken_at', 'broken_by',
  'broken_why')
local known = owner and last[1] == owner
local function ago(moment)
  return moment and math.max(now - moment, 0) or ''
end
return {
  owner,
  redis.call('PTTL', KEYS[1]),
  known and last[2] or '',
  known and last[3] or '',
  known and ago(last[4]) or '',
  redis.call('ZCOUNT', KEYS[4], '(' .. now, '+inf'),
  ago(last[5]),
  last[6] or '',
  last[7] or '',
}
