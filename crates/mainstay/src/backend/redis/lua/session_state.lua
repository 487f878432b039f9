-- What the scripts of sessions share: the time, and what a record holds.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(number)
  return string.format('%.0f', number)
end
-- When a session ends. A use is written down only when a twentieth of the idle time has passed, so
-- that much is added: nobody is logged out early.
local function ends(touched, idle, deadline)
  return math.min(touched + idle + math.floor(idle / 20), deadline)
end
-- nil: no valid session. Otherwise 'to': where the id has moved to, or 'epoch', 'touched', 'idle',
-- 'deadline', 'auth' of the session.
local function session(record, user)
  local held = redis.call('HMGET', record, 'to', 'epoch', 'touched', 'idle', 'deadline', 'auth')
  if held[1] then
    return {to = held[1]}
  end
  local epoch = held[2]
  if not epoch or (epoch ~= '0' and epoch ~= redis.call('HGET', user, 'epoch')) then
    return nil
  end
  local touched, idle, deadline = tonumber(held[3]), tonumber(held[4]), tonumber(held[5])
  if now >= ends(touched, idle, deadline) then
    return nil
  end
  return {epoch = epoch, touched = touched, idle = idle, deadline = deadline, auth = held[6]}
end
-- Moves the end of a session, in its user's listing as well.
local function follow(record, index, id_hash, touched, idle, deadline)
  local at = ms(ends(touched, idle, deadline))
  redis.call('PEXPIREAT', record, at)
  redis.call('ZADD', index, 'XX', at, id_hash)
end
