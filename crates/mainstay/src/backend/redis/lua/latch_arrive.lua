-- Notes that somebody has arrived, once, and wakes who waits when all have.
-- KEYS[1] set of who has arrived
-- ARGV[1] who, ARGV[2] how many are expected, ARGV[3] milliseconds the set is kept, ARGV[4] channel of
-- wake-ups
-- RETURNS how many have arrived
redis.call('SADD', KEYS[1], ARGV[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
local arrived = redis.call('SCARD', KEYS[1])
if arrived >= tonumber(ARGV[2]) then
  -- Without the right to publish those who wait look from time to time.
  redis.pcall('PUBLISH', ARGV[4], '')
end
return arrived
