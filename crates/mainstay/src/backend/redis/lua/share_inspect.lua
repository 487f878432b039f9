-- Tells who holds units, and how many wait.
-- KEYS[1] owners by the end of their lease, KEYS[2] hash beside it, KEYS[3], KEYS[4] who waits
-- RETURNS as lock_inspect.lua, with one list for each of the first 1000 holders
local milliseconds = clock()
local answer = {waiting(milliseconds)}
local bound = '(' .. milliseconds
local owners = redis.call('ZRANGEBYSCORE', KEYS[1], bound, '+inf', 'WITHSCORES', 'LIMIT', 0, 1000)
for i = 1, #owners, 2 do
  local fence, since, holder = record(owners[i])
  answer[#answer + 1] = {
    owners[i],
    owners[i + 1] - milliseconds,
    holder or '',
    fence or '',
    ago(since, milliseconds),
  }
end
return answer
