-- Adds to counters and keeps them for a day.
-- KEYS[1] hash of counters
-- ARGV name, number to add, name, number, ...
-- RETURNS 1
for index = 1, #ARGV, 2 do
  redis.call('HINCRBY', KEYS[1], ARGV[index], ARGV[index + 1])
end
return redis.call('PEXPIRE', KEYS[1], 86400000)
