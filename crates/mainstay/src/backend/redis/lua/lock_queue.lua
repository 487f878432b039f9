-- Comes before the scripts that look at who waits for a lock.
-- KEYS[3] who waits, by the number of their turn; KEYS[4] the same, by when they are given up, in
-- milliseconds of the server's clock: who waits asks again before
local function leave(owner)
  redis.call('ZREM', KEYS[3], owner)
  redis.call('ZREM', KEYS[4], owner)
end
-- The first who waits and has not been given up. A place that would last for long is from before the
-- clock went back.
local function first(milliseconds)
  for _, range in ipairs({{'-inf', milliseconds}, {milliseconds + 10000, '+inf'}}) do
    local gone = redis.call('ZRANGEBYSCORE', KEYS[4], range[1], range[2], 'LIMIT', 0, 1000)
    for _, owner in ipairs(gone) do
      leave(owner)
    end
  end
  return redis.call('ZRANGE', KEYS[3], 0, 0)[1]
end
-- A login without the right to publish does the rest all the same: who waits looks again anyway.
local function call(channel, owner)
  redis.pcall('PUBLISH', channel, owner)
end
