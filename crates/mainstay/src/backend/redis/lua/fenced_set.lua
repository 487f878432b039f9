-- Replaces a guarded value unless a later holder has written it.
-- KEYS[1] hash of value and fence
-- ARGV[1] fence in decimal digits, ARGV[2] value, ARGV[3] milliseconds it is kept
-- RETURNS nil when written | the larger fence of the value, as text, when refused
local last = redis.call('HGET', KEYS[1], 'fence')
-- As text: numbers above 2^53 are not exact here.
if last and (#ARGV[1] < #last or #ARGV[1] == #last and ARGV[1] < last) then
  return last
end
redis.call('HSET', KEYS[1], 'fence', ARGV[1], 'value', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return nil
