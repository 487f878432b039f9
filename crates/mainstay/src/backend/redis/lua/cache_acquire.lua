-- Reads an entry; leases the right to fill it when there is none, or none but what was seen.
-- KEYS[1] entry, KEYS[2] lease: a token, or '!id|kept|told|message' of a load that failed
-- ARGV[1] lease token, ARGV[2] lease time in milliseconds, ARGV[3] what the caller has seen,
-- ARGV[4] id of the lease that the caller has waited for
-- RETURNS {'fresh', bytes, milliseconds left or -1} | {'leased'}
--   | {'busy', milliseconds left, id of the lease} | {'failed', message}
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' and value ~= ''
  and (ARGV[3] == '' or not is_seen(value, ARGV[3])) then
  return {'fresh', value, redis.call('PTTL', KEYS[1])}
end
local standing = redis.call('GET', KEYS[2])
if standing and standing ~= ARGV[1] then
  local left = math.max(redis.call('PTTL', KEYS[2]), 0)
  local id, kept, told, message = string.match(standing, '^!(.-)|(%d+)|(%d+)|(.*)$')
  if not id then
    return {'busy', left, string.sub(standing, 1, 8)}
  end
  if id == ARGV[4] or left > kept - told then
    return {'failed', message}
  end
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return {'leased'}
