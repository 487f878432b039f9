-- Comes before the scripts that look at who waits for a lock.
-- KEYS[3] who waits, by the number of their turn; KEYS[4] the same, by when they are given up, in
-- milliseconds of the server's clock: who waits asks again before
local function refused(reply)
  return type(reply) == 'table' and reply.err
end
local function leave(owner)
  redis.call('ZREM', KEYS[3], owner)
  redis.call('ZREM', KEYS[4], owner)
end
-- The first who waits and has not been given up. A place that would last for longer than any was
-- taken before the clock went back: it lasts a second from now.
local function first(milliseconds)
  local latest = milliseconds + 1000
  for _, owner in ipairs(redis.call('ZRANGEBYSCORE', KEYS[4], '(' .. latest, '+inf', 'LIMIT', 0, 1000)) do
    if refused(redis.pcall('ZADD', KEYS[4], latest, owner)) then
      leave(owner)
    end
  end
  while true do
    local head = redis.call('ZRANGE', KEYS[3], 0, 0)[1]
    local ends = head and redis.call('ZSCORE', KEYS[4], head)
    if not head or ends and tonumber(ends) > milliseconds then
      return head
    end
    leave(head)
  end
end
-- A login without the right to publish does the rest all the same: who waits looks again anyway.
local function call(channel, owner)
  redis.pcall('PUBLISH', channel, owner)
end
