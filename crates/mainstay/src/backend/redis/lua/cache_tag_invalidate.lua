-- Advances the counter of a cache's tags and gives the number to one of them.
-- A tag that is missing stays so: nothing that carries it is valid, and a load that has begun before
-- cannot make it anew. Without room for the numbers both are removed, which has the same effect: the
-- counter starts anew at a larger one.
-- KEYS[1] tag, KEYS[2] counter
-- RETURNS the number as text
local last = tonumber(redis.call('GET', KEYS[2]) or nil)
local time = redis.call('TIME')
local number = string.format('%.0f', last and last + 1 or time[1] * 1000000 + time[2])
if refused(redis.pcall('SET', KEYS[2], number, 'PX', 2592000000)) then
  redis.call('DEL', KEYS[1], KEYS[2])
elseif redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('SET', KEYS[1], number, 'KEEPTTL')
end
changed(true)
return number
