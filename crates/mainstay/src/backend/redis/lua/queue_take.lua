-- Hands out jobs, with a lease and a fence each. First, leases that have ended make their jobs ready again,
-- or dead after the last attempt, and delayed jobs that are due become ready.
-- After queue_state.lua, which says what the keys are.
-- ARGV[1] consumer, ARGV[2] most jobs, ARGV[3] milliseconds of the lease, ARGV[4] most attempts
-- ARGV[5] milliseconds that the consumer waits to be called if there are fewer, 0 to not wait
-- ARGV[6] channel of calls, ARGV[7] most dead letters, ARGV[8] milliseconds that they are kept
-- RETURNS {milliseconds until something else is due or -1, how many died, {id, fence as text, attempt,
--   pushed at, key, content} for each job}
local LARGE = 4194304
local most, attempts_most = tonumber(ARGV[2]), tonumber(ARGV[4])
local died = 0
-- A full server refuses no script that has begun to write: jobs must get out of it.
redis.call('ZREM', KEYS[5], '')
local ended = redis.call('ZRANGEBYSCORE', KEYS[5], '-inf', now, 'LIMIT', 0, 100)
for n = #ended, 1, -1 do
  local id = ended[n]
  local state = read(redis.call('HGET', KEYS[4], id))
  if not state then
    forget(id)
    redis.call('HINCRBY', KEYS[1], 'lost', 1)
  elseif state.attempts >= attempts_most then
    bury(id, state, 'the lease ended: the consumer was lost, or took too long')
    died = died + 1
  else
    state.fence = '0'
    redis.call('HSET', KEYS[4], id, text(state))
    redis.call('ZREM', KEYS[5], id)
    redis.call('LPUSH', KEYS[2], id)
    wrote(2)
  end
end
if died > 0 then
  bound_letters(tonumber(ARGV[7]), tonumber(ARGV[8]))
end
local due = redis.call('ZRANGEBYSCORE', KEYS[6], '-inf', now, 'LIMIT', 0, 100)
if #due > 0 then
  redis.call('ZREM', KEYS[6], unpack(due))
  redis.call('RPUSH', KEYS[2], unpack(due))
  wrote(2)
end
local taken = {}
local ids = most > 0 and redis.call('LPOP', KEYS[2], most) or {}
if #ids > 0 then
  local states = redis.call('HMGET', KEYS[4], unpack(ids))
  local fence = math.max(tonumber(redis.call('HGET', KEYS[1], 'fence') or 0) + 1, micros)
  local ends = now + ARGV[3]
  local changed, leases, bytes = {}, {}, 0
  for n, id in ipairs(ids) do
    local state, content = read(states[n]), redis.call('HGET', KEYS[3], id)
    if not state or not content then
      forget(id)
      redis.call('HINCRBY', KEYS[1], 'lost', 1)
      if state then
        next_of(state.key)
      end
    elseif bytes > 0 and bytes + #content > LARGE then
      for back = #ids, n, -1 do
        redis.call('LPUSH', KEYS[2], ids[back])
      end
      wrote(2)
      break
    else
      bytes = bytes + #content
      state.attempts = state.attempts + 1
      state.fence = string.format('%.0f', fence)
      state.consumer = ARGV[1]
      fence = fence + 1
      changed[#changed + 1] = id
      changed[#changed + 1] = text(state)
      leases[#leases + 1] = ends
      leases[#leases + 1] = id
      taken[#taken + 1] = {id, state.fence, state.attempts, state.pushed, state.key, content}
    end
  end
  if #taken > 0 then
    redis.call('HSET', KEYS[4], unpack(changed))
    redis.call('ZADD', KEYS[5], unpack(leases))
    redis.call('HSET', KEYS[1], 'fence', string.format('%.0f', fence - 1))
    wrote(5)
  end
end
local left = -1
if #taken < most then
  for _, n in ipairs({5, 6}) do
    local first = redis.call('ZRANGE', KEYS[n], 0, 0, 'WITHSCORES')[2]
    if first then
      local until_then = math.max(first - now, 0)
      left = left < 0 and until_then or math.min(left, until_then)
    end
  end
  if redis.call('LLEN', KEYS[2]) > 0 then
    left = 0
  end
  if ARGV[5] ~= '0' then
    redis.call('ZREMRANGEBYSCORE', KEYS[12], '-inf', now)
    redis.call('ZADD', KEYS[12], now + ARGV[5], ARGV[1])
    wrote(12)
  end
elseif redis.call('EXISTS', KEYS[12]) == 1 then
  redis.call('ZREM', KEYS[12], ARGV[1])
  call(ARGV[6], redis.call('LLEN', KEYS[2]))
end
keep()
return {left, died, taken}
