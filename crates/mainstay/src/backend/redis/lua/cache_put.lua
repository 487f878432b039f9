-- Stores an entry and ends the lease of whoever was computing it.
-- What there is no room for leaves nothing: neither does what was there before count any more.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] entry, ARGV[2] ttl in milliseconds
-- RETURNS 1 | the error of the server that has no room
local refusal = refused(redis.pcall('SET', KEYS[1], ARGV[1], 'PX', ARGV[2]))
if refusal then
  redis.call('DEL', KEYS[1])
end
redis.call('DEL', KEYS[2])
changed(true)
return refusal or 1
