-- Raises the generation of a tag. One that is missing stays so: nothing that carries it is valid.
-- KEYS[1] tag, KEYS[2] unused
-- ARGV[1] generation
-- RETURNS 1 raised | 0 missing, or not below
local current = redis.call('GET', KEYS[1])
if not current or tonumber(current) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'KEEPTTL')
changed(true)
return 1
