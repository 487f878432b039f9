-- Reads a user's listing, newest deadline first, and drops what has passed.
-- KEYS[1] listing
-- ARGV[1] most entries to read
-- RETURNS {id hash, ..}
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
return redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1)
