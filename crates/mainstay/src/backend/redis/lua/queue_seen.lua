-- How many jobs there are, by what they wait for.
-- After queue_state.lua, which says what the keys are.
-- RETURNS {ready, delayed, in flight, behind another of their key, dead, dead letters that fell out, jobs whose
--   content was gone}
return {redis.call('LLEN', KEYS[2]), redis.call('ZCARD', KEYS[6]), redis.call('ZCARD', KEYS[5]),
  redis.call('ZCARD', KEYS[9]), redis.call('ZCARD', KEYS[10]),
  tonumber(redis.call('HGET', KEYS[1], 'dropped') or 0), tonumber(redis.call('HGET', KEYS[1], 'lost') or 0)}
