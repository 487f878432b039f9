-- The generation of a tag, which is created if it is missing and lives long enough afterwards.
-- KEYS[1] tag
-- ARGV[1] generation if it has none, ARGV[2] shortest ttl in milliseconds
-- RETURNS its generation as text
local current = redis.call('GET', KEYS[1])
if not current then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return current
