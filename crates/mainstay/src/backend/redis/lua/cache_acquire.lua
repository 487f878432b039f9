-- Reads an entry; leases the right to fill it when it is missing.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] lease token, ARGV[2] lease time in milliseconds, ARGV[3] bytes that an envelope starts with
-- RETURNS {'fresh', envelope} | {'leased'} | {'busy', milliseconds left}
local envelope = redis.call('GET', KEYS[1])
if envelope and string.sub(envelope, 1, #ARGV[3]) == ARGV[3] then
  return {'fresh', envelope}
end
local holder = redis.call('GET', KEYS[2])
if holder and holder ~= ARGV[1] then
  return {'busy', math.max(redis.call('PTTL', KEYS[2]), 0)}
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'leased'}
