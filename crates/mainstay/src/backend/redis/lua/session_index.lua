-- Reads a user's listing, those first that end last, and drops what has passed.
-- KEYS[1] listing, KEYS[2] user
-- ARGV[1] most entries to read
-- RETURNS {now in ms, the user's epoch or nil, {id hash, ..}}
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
local epoch = redis.call('GET', KEYS[2])
if not epoch then
  -- Whatever is listed was valid under an epoch that is lost.
  redis.call('UNLINK', KEYS[1])
end
return {now, epoch, redis.call('ZREVRANGE', KEYS[1], 0, ARGV[1] - 1)}
