-- Stores an entry and ends the lease of whoever was computing it.
-- KEYS[1] entry, KEYS[2] lease
-- ARGV[1] entry, ARGV[2] ttl in milliseconds
-- RETURNS 1
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
redis.call('DEL', KEYS[2])
changed(true)
return 1
