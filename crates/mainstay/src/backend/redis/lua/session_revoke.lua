-- Removes one session.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing
-- ARGV[1] id hash
-- RETURNS 1 it was valid | 0 it was not
local record = redis.call('HMGET', KEYS[1], 'epoch', 'touched', 'idle', 'deadline')
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[3], ARGV[1])
if not record[1] or record[1] ~= redis.call('HGET', KEYS[2], 'epoch') then
  return 0
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if now >= tonumber(record[4]) or now - record[2] >= tonumber(record[3]) then
  return 0
end
return 1
