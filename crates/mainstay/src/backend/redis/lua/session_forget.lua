-- Takes sessions off a listing whose records are gone.
-- KEYS[1] listing, KEYS[2].. records
-- ARGV id hashes of the records
-- RETURNS how many
local forgotten = 0
for i = 1, #ARGV do
  if redis.call('EXISTS', KEYS[i + 1]) == 0 then
    forgotten = forgotten + redis.call('ZREM', KEYS[1], ARGV[i])
  end
end
return forgotten
