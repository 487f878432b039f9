-- Raises the generation of a tag. One that is missing gets it for a while: a load that found it
-- missing before must not make it anew with an older one.
-- KEYS[1] tag, KEYS[2] unused
-- ARGV[1] generation, ARGV[2] ttl in milliseconds of a tag that was missing
-- RETURNS 1 raised | 0 not below
local current = redis.call('GET', KEYS[1])
if not current then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
elseif tonumber(current) >= tonumber(ARGV[1]) then
  return 0
else
  redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
end
changed(true)
return 1
