-- Reads a session if it is valid; counts as activity when asked to.
-- KEYS[1] record, KEYS[2] user
-- ARGV[1] '1' when the read counts as activity
-- RETURNS nil | {user, age ms, idle for ms, expires in ms, absolute in ms, data}
local record = redis.call('HMGET', KEYS[1],
  'user', 'epoch', 'created', 'touched', 'idle', 'deadline', 'data')
if not record[2] or record[2] ~= redis.call('HGET', KEYS[2], 'epoch') then
  return nil
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local touched, idle, deadline = tonumber(record[4]), tonumber(record[5]), tonumber(record[6])
if now >= deadline or now - touched >= idle then
  return nil
end
local idle_for = math.max(now - touched, 0)
if ARGV[1] == '1' and idle_for * 20 > idle then
  touched = now
  redis.call('HSET', KEYS[1], 'touched', string.format('%.0f', now))
  redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', math.min(now + idle, deadline)))
end
return {record[1], math.max(now - record[3], 0), idle_for,
  math.min(touched + idle, deadline) - now, deadline - now, record[7]}
