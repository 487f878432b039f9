-- Extends leases of jobs in flight; never takes one.
-- After queue_state.lua, which says what the keys are.
-- ARGV[1] milliseconds of the lease; then id and fence of each job
-- RETURNS a digit for each job: 1 extended, 0 not in flight under that fence
local answers = {}
-- A full server refuses no script that has begun to write.
redis.call('ZREM', KEYS[5], '')
for at = 2, #ARGV, 2 do
  local state = read(redis.call('HGET', KEYS[4], ARGV[at]))
  if state and state.fence == ARGV[at + 1] and redis.call('ZSCORE', KEYS[5], ARGV[at]) then
    redis.call('ZADD', KEYS[5], 'XX', now + ARGV[1], ARGV[at])
    answers[at / 2] = 1
  else
    answers[at / 2] = 0
  end
end
keep()
return table.concat(answers)
