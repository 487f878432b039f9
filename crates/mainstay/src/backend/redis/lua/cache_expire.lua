-- Marks an entry as stale, keeps its ttl, and ends the lease of whoever is computing it.
-- One that cannot be marked, for want of memory, is removed.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] offset of the byte with the flags, ARGV[2] flag to be set
-- RETURNS 1 there was an entry | 0 there was none
redis.call('DEL', KEYS[2])
local flags = redis.pcall('GETRANGE', KEYS[1], ARGV[1], ARGV[1])
if type(flags) ~= 'string' or flags == '' then
  changed(false)
  return 0
end
local marked = string.char(bit.bor(string.byte(flags), ARGV[2]))
if refused(redis.pcall('SETRANGE', KEYS[1], ARGV[1], marked)) then
  redis.call('DEL', KEYS[1])
end
changed(true)
return 1
