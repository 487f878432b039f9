-- Appends a message to a channel's history and tells who listens.
-- KEYS[1] hash of the history, KEYS[2] stream of its messages, KEYS[3] if it is to be appended once:
-- what that came to
-- ARGV[1] bytes, ARGV[2] mark, ARGV[3] messages kept, ARGV[4] ms that they are kept, ARGV[5] bytes kept,
-- ARGV[6] ms that the history is remembered, ARGV[7] channel, ARGV[8] bytes that are told at most,
-- ARGV[9] ms in which it is appended once
-- RETURNS epoch, number, mark, 1 if it was there before and 0 if not
if KEYS[3] then
  local before = redis.call('HMGET', KEYS[3], 'epoch', 'seq', 'mark')
  if before[1] then
    return { before[1], before[2], before[3], 1 }
  end
end
local payload, mark, now = ARGV[1], ARGV[2], now_ms()
local it = history()
if not it then
  redis.call('DEL', KEYS[2])
  it = { epoch = mark, seq = 0, mark = '', first = 1, oldest = now, total = 0, before = 0 }
end
it.age = tonumber(ARGV[4])
local before = it.mark
it.seq = it.seq + 1
it.mark = mark
if it.first == it.seq then
  it.oldest, it.before = now, it.total
end
it.total = it.total + #payload
redis.call('XADD', KEYS[2], number(it.seq) .. '-0', 'm', mark, 'b', before, 't', number(now), 's',
  number(it.total), 'e', payload)
sweep(it, now, tonumber(ARGV[3]), tonumber(ARGV[5]))
write(it)
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PEXPIRE', KEYS[2], ARGV[6])
local seq = number(it.seq)
if KEYS[3] then
  redis.call('HSET', KEYS[3], 'epoch', it.epoch, 'seq', seq, 'mark', mark)
  redis.call('PEXPIRE', KEYS[3], ARGV[9])
end
local told = it.epoch .. ' ' .. seq .. ' ' .. mark .. ' ' .. (before == '' and '-' or before) .. ' ' .. number(now)
if #payload <= tonumber(ARGV[8]) then
  told = told .. '\n' .. payload
end
-- Without the right to publish, who listens looks from time to time.
redis.pcall('PUBLISH', ARGV[7], told)
return { it.epoch, seq, mark, 0 }
