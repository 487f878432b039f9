-- Forgets dead letters.
-- After queue_state.lua, which says what the keys are.
-- ARGV ids
-- RETURNS how many
if #ARGV == 0 then
  return 0
end
redis.call('ZREM', KEYS[10], unpack(ARGV))
return redis.call('HDEL', KEYS[11], unpack(ARGV))
