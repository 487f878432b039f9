-- Reads an entry with the time it has left. One of another type than a string is none.
-- KEYS[1] entry
-- RETURNS nil, or {bytes, milliseconds left or -1}
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' then
  return nil
end
return {value, redis.call('PTTL', KEYS[1])}
