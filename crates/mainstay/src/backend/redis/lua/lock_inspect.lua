-- Tells who holds a lock, and how many wait.
-- KEYS[1] lock, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- RETURNS {how many wait, milliseconds since it was last broken, by whom, why},
--   {owner, milliseconds left or -1 for no end, holder, fence, milliseconds held} if it is held;
--   '' for what is not known
local milliseconds = clock()
local owner = redis.call('GET', KEYS[1])
local last = redis.call('HMGET', KEYS[2], 'owner', 'holder', 'fence', 'since')
local known = owner and last[1] == owner
local answer = {waiting(milliseconds)}
if owner then
  answer[2] = {
    owner,
    redis.call('PTTL', KEYS[1]),
    known and last[2] or '',
    known and last[3] or '',
    known and ago(last[4], milliseconds) or '',
  }
end
return answer
