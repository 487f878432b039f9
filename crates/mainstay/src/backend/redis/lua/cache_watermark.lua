-- Reads the counter of a cache's tags: a forgotten one starts anew at the clock's microseconds.
-- KEYS[1] counter
-- RETURNS the number as text
local number = redis.call('GET', KEYS[1])
if not number then
  local time = redis.call('TIME')
  number = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('SET', KEYS[1], number, 'PX', 2592000000)
end
return number
