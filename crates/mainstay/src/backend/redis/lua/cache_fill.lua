-- Stores an entry if the lease still stands, and ends the lease.
-- A second fill with the lease that stored the entry answers as the first did.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] lease token, ARGV[2] entry, ARGV[3] ttl in milliseconds
-- ARGV[4], if others write without leases: what was seen of the entry that is replaced; '' for none
-- RETURNS 1 stored | 0 superseded | the error of the server that has no room
if redis.call('GET', KEYS[2]) ~= ARGV[1] then
  return redis.pcall('GET', KEYS[1]) == ARGV[2] and 1 or 0
end
redis.call('DEL', KEYS[2])
if ARGV[4] then
  local current = redis.pcall('GET', KEYS[1]) or ''
  if (current == '') ~= (ARGV[4] == '') or type(current) ~= 'string'
    or not is_seen(current, ARGV[4]) then
    changed(false)
    return 0
  end
end
local refusal = refused(redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3]))
changed(not refusal)
return refusal or 1
