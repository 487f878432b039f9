-- Reads a part of a channel's history; one that was never written gets its epoch.
-- KEYS[1] hash of the history, KEYS[2] stream of its messages
-- ARGV[1] number of the first message, ARGV[2] messages at most, ARGV[3] bytes at most, but at least two
-- messages, ARGV[4] epoch of a new history, ARGV[5] ms that a history is remembered beyond its age
-- RETURNS epoch, number and mark of the latest message, number of the oldest that is kept, then of each
-- message its number, mark, mark before, ms since 1970, bytes
local now = now_ms()
local it = history()
if not it then
  redis.call('DEL', KEYS[2])
  it = { epoch = ARGV[4], seq = 0, mark = '', first = 1, oldest = now, total = 0, before = 0,
    age = tonumber(ARGV[5]) }
  write(it)
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
else
  if sweep(it, now, math.huge, math.huge) then
    write(it)
  end
  -- What is read is remembered: who is up to date must not hear that all was lost.
  local remembered = it.age + ARGV[5]
  if redis.call('PTTL', KEYS[1]) < remembered - 86400000 then
    redis.call('PEXPIRE', KEYS[1], number(remembered))
    redis.call('PEXPIRE', KEYS[2], number(remembered))
  end
end
local answer = { it.epoch, number(it.seq), it.mark, '' }
local from, most, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local found = 0
while found < most and bytes > 0 do
  local part = redis.call('XRANGE', KEYS[2], from, '+', 'COUNT', math.min(16, most - found))
  for _, message in ipairs(part) do
    local seq = string.match(message[1], '^%d+')
    local fields = entry(message[2])
    bytes = bytes - #fields.e
    if found > 1 and bytes < 0 then
      break
    end
    found = found + 1
    for _, field in ipairs({ seq, fields.m, fields.b, fields.t, fields.e }) do
      answer[#answer + 1] = field
    end
    from = '(' .. seq .. '-0'
  end
  if #part < 16 then
    break
  end
end
-- What was evicted alone, or by another hand, is kept no more.
if it.first <= it.seq then
  local oldest = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
  it.first = oldest and tonumber(string.match(oldest[1], '^%d+')) or it.seq + 1
end
answer[4] = number(it.first)
return answer
