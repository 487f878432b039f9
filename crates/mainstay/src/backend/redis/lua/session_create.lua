-- Stores a session under its user's epoch and lists it.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing
-- ARGV[1] user, ARGV[2] data, ARGV[3] idle ms, ARGV[4] absolute ms, ARGV[5] id hash
-- RETURNS 1
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = redis.call('HGET', KEYS[2], 'epoch')
if not epoch then
  epoch = string.format('%.0f', time[1] * 1000000 + time[2])
  redis.call('HSET', KEYS[2], 'epoch', epoch)
end
local deadline = now + ARGV[4]
redis.call('HSET', KEYS[1], 'v', 1, 'user', ARGV[1], 'epoch', epoch,
  'created', string.format('%.0f', now), 'touched', string.format('%.0f', now),
  'idle', ARGV[3], 'deadline', string.format('%.0f', deadline), 'data', ARGV[2])
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(now + ARGV[3], deadline)))
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', string.format('%.0f', now))
redis.call('ZADD', KEYS[3], string.format('%.0f', deadline), ARGV[5])
-- The epoch must outlive every session that it makes valid.
local keep = string.format('%.0f', math.max(redis.call('PTTL', KEYS[2]), ARGV[4] + 60000))
redis.call('PEXPIRE', KEYS[2], keep)
redis.call('PEXPIRE', KEYS[3], keep)
return 1
