-- Comes before each script that changes an entry: makes the change known to whoever watches it.
-- A server tells those who read a key only when there is something to change: a missing entry
-- appears for a moment, one that stays as it is gets its own time to live again, or nothing is
-- appended to it.
-- KEYS[1] entry; KEYS[3], where changes are announced: counter and name of the channel
local function changed(written)
  if not written then
    local ends = redis.call('PEXPIRETIME', KEYS[1])
    if ends == -2 then
      redis.pcall('SET', KEYS[1], '', 'PX', 1000)
      redis.call('DEL', KEYS[1])
    elseif ends > 0 then
      redis.call('PEXPIREAT', KEYS[1], ends)
    else
      redis.pcall('APPEND', KEYS[1], '')
    end
  end
  if KEYS[3] then
    local number = redis.call('INCR', KEYS[3])
    redis.call('PEXPIRE', KEYS[3], 2592000000)
    redis.call('PUBLISH', KEYS[3], number .. ' ' .. KEYS[1])
  end
end
-- The error of a command that was refused, as for want of memory.
local function refused(reply)
  return type(reply) == 'table' and reply.err and reply
end
