-- Reads an entry with the time it has left.
-- KEYS[1] entry
-- RETURNS nil, or {envelope, milliseconds left}
local envelope = redis.call('GET', KEYS[1])
if not envelope then
  return nil
end
return {envelope, redis.call('PTTL', KEYS[1])}
