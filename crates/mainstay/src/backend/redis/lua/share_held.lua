-- Comes before the scripts of what several may hold, after lock_queue.lua.
-- KEYS[1] owners by the end of their lease, in milliseconds of the server's clock; an owner starts
-- with the units it holds and a dot
-- KEYS[2] hash beside it; its field 'h:' .. owner says 'fence since holder', its field 'released' names
-- the last owners who have released
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
-- Without memory a release is not remembered, and is a release all the same.
local function remember_release(owner, kept)
  local last = redis.call('HGET', KEYS[2], 'released')
  local owners = {owner}
  for other in string.gmatch(last or '', '[^\n]+') do
    if #owners < 8 and other ~= owner then
      owners[#owners + 1] = other
    end
  end
  redis.pcall('HSET', KEYS[2], 'released', table.concat(owners, '\n'))
  redis.call('PEXPIRE', KEYS[2], kept)
end
local function was_released(owner)
  local last = redis.call('HGET', KEYS[2], 'released')
  return last and string.find('\n' .. last .. '\n', '\n' .. owner .. '\n', 1, true) and 1 or 0
end
