-- Starts the ttl of an entry anew, if it still is the one that the caller has read.
-- KEYS[1] entry
-- ARGV[1] how its bytes begin, ARGV[2] ttl in milliseconds
-- RETURNS 1 started anew | 0 it is another, or none
if redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then
  return 0
end
return redis.call('PEXPIRE', KEYS[1], ARGV[2])
