-- Extends locks for their holders; never takes a free one.
-- KEYS[2i-1] lock, KEYS[2i] hash beside it
-- ARGV[3i-2] its owner, ARGV[3i-1] ttl in milliseconds, ARGV[3i] milliseconds the hash is kept
-- RETURNS for each: fence as text ('0' when the hash was evicted), '' when not held by the owner
local fences = {}
for i = 1, #KEYS / 2 do
  local lock, hash = KEYS[2 * i - 1], KEYS[2 * i]
  fences[i] = ''
  -- A value of another type is another's: it must not fail the locks beside it.
  if redis.pcall('GET', lock) == ARGV[3 * i - 2] then
    redis.call('PEXPIRE', lock, ARGV[3 * i - 1])
    redis.call('PEXPIRE', hash, ARGV[3 * i])
    fences[i] = redis.call('HGET', hash, 'fence') or '0'
  end
end
return fences
