-- Extends a lock for its holder; never takes a free one.
-- KEYS[1] lock, KEYS[2] hash beside it
-- ARGV[1] owner, ARGV[2] ttl in milliseconds, ARGV[3] milliseconds the hash is kept
-- RETURNS fence as text ('0' when the hash was evicted) | nil when not held by the owner
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return nil
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return redis.call('HGET', KEYS[2], 'fence') or '0'
