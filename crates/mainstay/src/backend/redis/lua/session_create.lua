-- Stores a session under its user's epoch and lists it, if the user may have one more.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing; the records of others that end start as KEYS[1] does
-- ARGV[1] user, ARGV[2] id hash, ARGV[3] idle ms, ARGV[4] absolute ms, ARGV[5] sessions that the user
-- may have or 0, ARGV[6] '1' when others end for it, ARGV[7] '1' when nobody has logged in,
-- ARGV[8] id hash of the one whose place it takes or '', then pairs of field, value
-- RETURNS sessions that ended for it | -1 when there is no room
local held = {
  v = 1, epoch = 0, created = now, auth = now, touched = now,
  idle = tonumber(ARGV[3]), deadline = now + ARGV[4],
}
for i = 9, #ARGV, 2 do
  held[ARGV[i]] = ARGV[i + 1]
end
local at = ms(ends(held))
local is_listed, over, is_first = ARGV[7] ~= '1', 0, false
local prefix = string.sub(KEYS[1], 1, -#ARGV[2] - 1)
local replaced, gone = ARGV[8], {}
-- An id that was rotated away stands for the one that it leads to.
for _ = 1, 8 do
  local before = replaced ~= '' and read(prefix .. replaced)
  if not before or not before.to then
    break
  end
  replaced = before.to
end
if is_listed then
  held.user, held.epoch = ARGV[1], epoch_of(KEYS[2])
  if not held.epoch then
    -- Whatever is listed was valid under an epoch that is lost.
    is_first = true
    held.epoch = time[1] * 1000000 + time[2]
  elseif tonumber(ARGV[5]) > 0 then
    over = redis.call('ZCOUNT', KEYS[3], '(' .. ms(now), '+inf') - ARGV[5] + 1
    local score = redis.call('ZSCORE', KEYS[3], replaced)
    if score and tonumber(score) > now then
      over = over - 1
    end
    if over > 0 then
      -- What the server has evicted takes no room.
      for _, id_hash in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '(' .. ms(now), '+inf')) do
        if id_hash ~= replaced and redis.call('EXISTS', prefix .. id_hash) == 0 then
          gone[#gone + 1] = id_hash
        end
      end
      over = over - #gone
    end
    if over > 0 and ARGV[6] ~= '1' then
      return -1
    end
  end
end
-- First what a full server refuses: it refuses nothing of a script that has written.
redis.call('SET', KEYS[1], cmsgpack.pack(held), 'PXAT', at)
if not is_listed then
  return 0
end
if is_first then
  redis.call('UNLINK', KEYS[3])
  redis.call('SET', KEYS[2], ms(held.epoch))
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', ms(now))
for _, id_hash in ipairs(gone) do
  redis.call('ZREM', KEYS[3], id_hash)
end
local ended = 0
if replaced ~= '' then
  ended = redis.call('DEL', prefix .. replaced)
  redis.call('ZREM', KEYS[3], replaced)
end
if over > 0 then
  local oldest = redis.call('ZPOPMIN', KEYS[3], over)
  for i = 1, #oldest, 2 do
    redis.call('DEL', prefix .. oldest[i])
    ended = ended + 1
  end
end
redis.call('ZADD', KEYS[3], at, ARGV[2])
-- The epoch must outlive every session that it makes valid.
local keep = ms(math.max(redis.call('PTTL', KEYS[2]), ARGV[4] + 60000))
redis.call('PEXPIRE', KEYS[2], keep)
redis.call('PEXPIRE', KEYS[3], keep)
return ended
