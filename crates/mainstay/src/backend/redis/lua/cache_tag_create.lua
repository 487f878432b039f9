-- The generation of a tag. A missing one is made if nothing was invalidated since the watermark.
-- KEYS[1] tag, KEYS[2] counter
-- ARGV[1] watermark, ARGV[2] shortest ttl in milliseconds
-- RETURNS its generation as text | nil missing, and overtaken
local current = redis.call('GET', KEYS[1])
if not current then
  if redis.call('GET', KEYS[2]) ~= ARGV[1] then
    return nil
  end
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
  return ARGV[1]
end
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return current
