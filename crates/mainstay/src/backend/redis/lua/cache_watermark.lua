-- Reads or advances a number that never falls: a forgotten one starts anew at the clock's.
-- KEYS[1] number, KEYS[2] unused
-- ARGV[1] 'read' or 'advance'
-- RETURNS the number as text
local last = tonumber(redis.call('GET', KEYS[1]) or nil)
if last and ARGV[1] == 'read' then
  return string.format('%.0f', last)
end
local time = redis.call('TIME')
local number = string.format('%.0f', last and last + 1 or time[1] * 1000000 + time[2])
redis.call('SET', KEYS[1], number, 'PX', 2592000000)
changed(true)
return number
