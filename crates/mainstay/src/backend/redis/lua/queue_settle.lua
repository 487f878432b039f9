-- Ends deliveries: jobs are done, tried again, given back, or dead. What is not in flight under its fence is
-- left as it is.
-- After queue_state.lua, which says what the other keys are.
-- KEYS[13] what a call with this token was answered
-- ARGV[1] most attempts, ARGV[2] most dead letters, ARGV[3] milliseconds that they are kept, ARGV[4] channel of
--   calls; then five words for each job: id, fence, what becomes of it (done, retry, back, dead), milliseconds
--   until it is due, reason
-- RETURNS a digit for each job: 0 not in flight under that fence, 1 as was wanted, 2 dead as it was the last
--   attempt
local before = redis.call('GET', KEYS[13])
if before then
  return before
end
local answers, done, died = {}, {}, 0
-- A full server refuses no script that has begun to write: jobs must get out of it.
redis.call('ZREM', KEYS[5], '')
for at = 5, #ARGV, 5 do
  local id, fence, verb, delay, reason = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3], ARGV[at + 4]
  local state = read(redis.call('HGET', KEYS[4], id))
  local answer = 1
  if not state or state.fence ~= fence or fence == '0' then
    answer = 0
  elseif verb == 'done' then
    done[#done + 1] = id
    -- The same job twice in one call.
    redis.call('HDEL', KEYS[4], id)
    next_of(state.key)
  elseif verb == 'dead' or verb == 'retry' and state.attempts >= tonumber(ARGV[1]) then
    bury(id, state, reason)
    died = died + 1
    answer = verb == 'dead' and 1 or 2
  else
    if verb == 'back' then
      state.attempts = state.attempts - 1
    end
    state.fence = '0'
    state.due = now + delay
    redis.call('HSET', KEYS[4], id, text(state))
    redis.call('ZREM', KEYS[5], id)
    if tonumber(delay) > 0 then
      line_up(id, state.due)
    else
      redis.call('LPUSH', KEYS[2], id)
      wrote(2)
      ready_now = ready_now + 1
    end
  end
  answers[#answers + 1] = answer
end
if #done > 0 then
  redis.call('HDEL', KEYS[3], unpack(done))
  redis.call('ZREM', KEYS[5], unpack(done))
end
if died > 0 then
  bound_letters(tonumber(ARGV[2]), tonumber(ARGV[3]))
end
call(ARGV[4], ready_now)
keep()
local answer = table.concat(answers)
redis.call('SET', KEYS[13], answer, 'PX', 10000)
return answer
