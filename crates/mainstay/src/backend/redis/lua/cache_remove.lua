-- Removes an entry and ends the lease of whoever is computing it.
-- KEYS[1] entry, KEYS[2] lease
-- RETURNS 1 there was an entry | 0 there was none
redis.call('DEL', KEYS[2])
local removed = redis.call('DEL', KEYS[1])
changed(removed == 1)
return removed
