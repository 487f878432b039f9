-- Comes before the scripts that tell who holds a lock, after lock_queue.lua.
-- KEYS[2] hash of what is remembered, KEYS[4] who waits
local function ago(moment, milliseconds)
  return moment and math.max(milliseconds - moment, 0) or ''
end
-- What an inspection says beside the holders.
local function waiting(milliseconds)
  local broken = redis.call('HMGET', KEYS[2], 'broken_at', 'broken_by', 'broken_why')
  return {
    redis.call('ZCOUNT', KEYS[4], '(' .. milliseconds, '+inf'),
    ago(broken[1], milliseconds),
    broken[2] or '',
    broken[3] or '',
  }
end
