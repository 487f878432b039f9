-- Adds jobs, each unless its id is known or there are too many.
-- After queue_state.lua, which says what the keys are.
-- ARGV[1] most jobs, ARGV[2] channel of calls; then five words for each job: id, milliseconds that the id is
--   known, milliseconds until it is due, key or nothing, content
-- RETURNS a digit for each job: 0 there are too many, 1 added, 2 its id is known
local jobs = (#ARGV - 2) / 5
local length = redis.call('HLEN', KEYS[3])
local most = tonumber(ARGV[1])
local answers = {}
for n = 1, jobs do
  local at = 5 * n - 2
  local id, window, delay, key, content = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local known = redis.call('ZSCORE', KEYS[7], id)
  if known and tonumber(known) > now or redis.call('HEXISTS', KEYS[3], id) == 1 then
    answers[n] = 2
  elseif length >= most then
    answers[n] = 0
  else
    redis.call('HSET', KEYS[3], id, content)
    redis.call('ZADD', KEYS[7], now + window, id)
    wrote(7)
    admit(id, now + delay, key)
    length = length + 1
    answers[n] = 1
  end
end
-- Last: a full server refuses no script that has begun to write, and must refuse more jobs.
local old = redis.call('ZRANGEBYSCORE', KEYS[7], '-inf', now, 'LIMIT', 0, 2 * jobs + 16)
if #old > 0 then
  redis.call('ZREM', KEYS[7], unpack(old))
end
call(ARGV[2], ready_now)
keep()
return table.concat(answers)
