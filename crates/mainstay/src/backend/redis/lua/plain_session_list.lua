-- Lists a plain session under its user, and keeps the listing at least as long as it.
-- KEYS[1] set of the ids of the user's sessions
-- ARGV[1] id, ARGV[2] milliseconds the listing is kept at least
-- RETURNS nothing
redis.call('SADD', KEYS[1], ARGV[1])
-- Never shorter than another session needs it, and never for ever.
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
