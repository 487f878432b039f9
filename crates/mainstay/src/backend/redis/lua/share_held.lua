-- Comes before the scripts of what several may hold, after lock_queue.lua.
-- KEYS[1] owners by the end of their lease, in milliseconds of the server's clock; an owner starts
-- with the units it holds and a dot
-- KEYS[2] hash beside it; its field 'h:' .. owner says 'fence since holder'
local function drop(owner)
  redis.call('ZREM', KEYS[1], owner)
  redis.call('HDEL', KEYS[2], 'h:' .. owner)
end
-- How many units are held, without leases that have ended.
local function units_held(milliseconds)
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', milliseconds, 'LIMIT', 0, 1000)) do
    drop(owner)
  end
  local units = 0
  for _, owner in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    units = units + tonumber(string.match(owner, '^%d+'))
  end
  return units
end
local function is_held(owner, milliseconds)
  local ends = redis.call('ZSCORE', KEYS[1], owner)
  return ends and tonumber(ends) > milliseconds
end
-- Fence, since when, holder.
local function record(owner)
  return string.match(redis.call('HGET', KEYS[2], 'h:' .. owner) or '', '^(%d+) (%d+) (.*)$')
end
