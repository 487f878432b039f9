-- Comes before the scripts that look at who waits for a lock.
-- KEYS[3] who waits, by the number of their turn; KEYS[4] the same, by when they are given up, in
-- milliseconds of the server's clock: who waits asks again before
local function refused(reply)
  return type(reply) == 'table' and reply.err
end
-- The server's clock in milliseconds and in microseconds.
local function clock()
  local time = redis.call('TIME')
  local now = time[1] * 1000000 + time[2]
  return math.floor(now / 1000), now
end
local function next_fence(last, now)
  return string.format('%.0f', math.max((tonumber(last) or 0) + 1, now))
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
-- Takes or keeps a place for `lasts` milliseconds, none for '0'; how many come before, or -1.
local function queue_up(owner, lasts, milliseconds, now)
  if lasts == '0' then
    return -1
  end
  if not redis.call('ZSCORE', KEYS[3], owner) then
    local tail = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
    redis.call('ZADD', KEYS[3], next_fence(tail, now), owner)
  end
  redis.call('ZADD', KEYS[4], milliseconds + lasts, owner)
  redis.call('PEXPIRE', KEYS[3], 60000)
  redis.call('PEXPIRE', KEYS[4], 60000)
  return redis.call('ZRANK', KEYS[3], owner)
end
-- How long the place of `owner` lasts. It may have ended since it was looked at: Redis before 7.2
-- reads its clock anew within a script, and one that is set back then ends keys that are extended.
local function place_left(owner, milliseconds)
  local ends = redis.call('ZSCORE', KEYS[4], owner)
  return math.max((ends or milliseconds) - milliseconds, 0)
end
-- A login without the right to publish does the rest all the same: who waits looks again anyway.
local function call(channel, owner)
  redis.pcall('PUBLISH', channel, owner)
end
