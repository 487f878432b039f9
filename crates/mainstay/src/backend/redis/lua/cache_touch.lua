-- Starts the ttl of an entry anew, if it still is the one that the caller has read.
-- KEYS[1] entry
-- ARGV[1] what the caller has seen, ARGV[2] ttl in milliseconds
-- RETURNS 1 started anew | 0 it is another, or none
local value = redis.pcall('GET', KEYS[1])
if type(value) ~= 'string' or not is_seen(value, ARGV[1]) then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
