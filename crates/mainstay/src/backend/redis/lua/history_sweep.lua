-- Comes before the scripts of a channel's history.
-- KEYS[1] hash: epoch, seq and mark of the latest message, first: number of the oldest that is kept,
-- oldest: when that was appended in ms, bytes that are kept, age in ms that messages are kept
-- KEYS[2] stream of messages <number>-0: m mark, b mark before, t ms since 1970, e bytes
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
  local state = redis.call('HMGET', KEYS[1], 'epoch', 'seq', 'mark', 'first', 'oldest', 'bytes', 'age')
  if not state[1] then
    return nil
  end
  return {
    epoch = state[1],
    seq = tonumber(state[2]),
    mark = state[3],
    first = tonumber(state[4]),
    oldest = tonumber(state[5]),
    bytes = tonumber(state[6]),
    age = tonumber(state[7]),
  }
end
local function write(it)
  redis.call('HSET', KEYS[1], 'epoch', it.epoch, 'seq', number(it.seq), 'mark', it.mark, 'first',
    number(it.first), 'oldest', number(it.oldest), 'bytes', number(it.bytes), 'age', number(it.age))
end
-- Drops from the oldest on what is beyond one of the bounds; the latest stays if it is young enough.
local function sweep(it, now, count, most_bytes)
  local dropped = false
  while it.first <= it.seq do
    local over = it.first < it.seq and (it.seq - it.first + 1 > count or it.bytes > most_bytes)
    if not over and it.oldest > now - it.age then
      break
    end
    local head = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 2)
    dropped = true
    if not head[1] then
      it.first, it.bytes = it.seq + 1, 0
      break
    end
    local first = entry(head[1][2])
    redis.call('XDEL', KEYS[2], head[1][1])
    it.bytes = math.max(it.bytes - #first.e, 0)
    if head[2] then
      it.first = tonumber(string.match(head[2][1], '^%d+'))
      it.oldest = tonumber(entry(head[2][2]).t)
    else
      it.first, it.bytes = it.seq + 1, 0
    end
  end
  return dropped
end
