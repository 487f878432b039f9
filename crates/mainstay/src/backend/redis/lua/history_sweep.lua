-- Comes before the scripts of a channel's history.
-- KEYS[1] hash: epoch, seq and mark of the latest message, first: number of the oldest that is kept,
-- oldest: when that was appended in ms, total: bytes of all messages so far, before: of those before the
-- oldest, age in ms that messages are kept
-- KEYS[2] stream of messages <number>-0: m mark, b mark before, t ms since 1970, s total of bytes with
-- this one, e bytes
local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end
local function number(value)
  return string.format('%.0f', value)
end
local function entry(fields)
  local found = {}
  for at = 1, #fields, 2 do
    found[fields[at]] = fields[at + 1]
  end
  return found
end
-- The history so far, as numbers; nothing if there is none.
local function history()
  local state = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'mark', 'first', 'oldest', 'total', 'before',
    'age')
  if not state[1] then
    return nil
  end
  return {
    epoch = state[1],
    seq = tonumber(state[2]),
    mark = state[3],
    first = tonumber(state[4]),
    oldest = tonumber(state[5]),
    total = tonumber(state[6]),
    before = tonumber(state[7]),
    age = tonumber(state[8]),
  }
end
local function write(it)
  redis.call('HSET', KEYS[1], 'epoch', it.epoch, 'seq', number(it.seq), 'mark', it.mark, 'first',
    number(it.first), 'oldest', number(it.oldest), 'total', number(it.total), 'before', number(it.before), 'age',
    number(it.age))
end
-- A kept message, by its number.
local function kept(seq)
  local found = redis.call('XRANGE', KEYS[2], number(seq), number(seq))[1]
  return found and entry(found[2])
end
-- Drops from the oldest on what is beyond one of the bounds; the latest stays if it is young enough.
-- Numbers have no hole, and times and sums of bytes rise with them: the first that stays is searched
-- for near the oldest, and then by halves, however many are to go.
local function sweep(it, now, count, most_bytes)
  if it.first > it.seq then
    return false
  end
  local function stays(seq)
    local message = kept(seq)
    if not message or tonumber(message.t) <= now - it.age then
      return nil
    end
    local before = tonumber(message.s) - #message.e
    local is_within = it.seq - seq < count and it.total - before <= most_bytes
    return (is_within or seq == it.seq) and message
  end
  local is_known = it.oldest > now - it.age and it.seq - it.first < count
  if is_known and it.total - it.before <= most_bytes then
    return false
  end
  local gone, step, found = it.first - 1, 1, nil
  local seq = it.first
  while seq < it.seq and not found do
    found = stays(seq)
    if not found then
      gone, seq, step = seq, math.min(seq + step, it.seq), step * 2
    end
  end
  found = found or stays(seq)
  if not found then
    redis.call('DEL', KEYS[2])
    it.first, it.before = it.seq + 1, it.total
    return true
  end
  while seq - gone > 1 do
    local middle = math.floor((gone + seq) / 2)
    local message = stays(middle)
    if message then
      seq, found = middle, message
    else
      gone = middle
    end
  end
  if seq == it.first then
    return false
  end
  redis.call('XTRIM', KEYS[2], 'MINID', number(seq))
  it.first, it.oldest, it.before = seq, tonumber(found.t), tonumber(found.s) - #found.e
  return true
end
