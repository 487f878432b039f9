-- Reads fields of several records.
-- KEYS records; ARGV fields
-- RETURNS {{value or nil, ..}, ..}
local lines = {}
for i = 1, #KEYS do
  lines[i] = redis.call('HMGET', KEYS[i], unpack(ARGV))
end
return lines
