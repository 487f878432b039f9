-- Moves a user's epoch, which invalidates every session created before.
-- KEYS[1] user, KEYS[2] listing
-- RETURNS sessions that were listed
local epoch = redis.call('GET', KEYS[1])
if not epoch then
  return 0
end
local time = redis.call('TIME')
local next_epoch = math.max(epoch + 1, time[1] * 1000000 + time[2])
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local listed = redis.call('ZCOUNT', KEYS[2], string.format('(%.0f', now), '+inf')
-- First what a full server does not refuse: it refuses nothing of a script that has written.
redis.call('UNLINK', KEYS[2])
redis.call('SET', KEYS[1], string.format('%.0f', next_epoch), 'KEEPTTL')
return listed
