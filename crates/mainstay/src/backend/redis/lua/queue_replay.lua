-- Makes dead letters jobs again, as if they had been pushed now; one whose id is a job's stays.
-- After queue_state.lua, which says what the keys are.
-- ARGV[1] channel of calls; then ids
-- RETURNS how many
local replayed = 0
for at = 2, #ARGV do
  local id = ARGV[at]
  local letter = redis.call('HGET', KEYS[11], id) or ''
  local key, reason, from = string.match(letter, '^%d+ %d+ %d+ %S+ (%d+) (%d+) ()')
  if key and redis.call('HEXISTS', KEYS[3], id) == 0 then
    local after_key = from + key
    redis.call('HSET', KEYS[3], id, string.sub(letter, after_key + reason))
    redis.call('HDEL', KEYS[11], id)
    redis.call('ZREM', KEYS[10], id)
    admit(id, now, string.sub(letter, from, after_key - 1))
    replayed = replayed + 1
  end
end
call(ARGV[1], ready_now)
keep()
return replayed
