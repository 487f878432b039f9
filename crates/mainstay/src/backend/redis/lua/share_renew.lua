-- Extends the leases of holders; never takes what is free.
-- KEYS[2i-1] owners by the end of their lease, KEYS[2i] hash beside it
-- ARGV[3i-2] owner, ARGV[3i-1] ttl in milliseconds, ARGV[3i] milliseconds the hash is kept
-- RETURNS for each: fence as text ('0' when the hash was evicted), '' when not held by the owner
local milliseconds = clock()
local fences = {}
for i = 1, #KEYS / 2 do
  local owners, hash = KEYS[2 * i - 1], KEYS[2 * i]
  local owner, ttl = ARGV[3 * i - 2], ARGV[3 * i - 1]
  local ends = redis.pcall('ZSCORE', owners, owner)
  fences[i] = ''
  if type(ends) == 'string' and tonumber(ends) > milliseconds then
    redis.call('ZADD', owners, milliseconds + ttl, owner)
    if redis.call('PTTL', owners) < tonumber(ttl) then
      redis.call('PEXPIRE', owners, ttl)
    end
    redis.call('PEXPIRE', hash, ARGV[3 * i])
    fences[i] = string.match(redis.call('HGET', hash, 'h:' .. owner) or '', '^%d+') or '0'
  end
end
return fences
