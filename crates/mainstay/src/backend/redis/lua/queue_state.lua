-- Comes before the scripts of queues.
-- KEYS[1] hash: 'fence', the last that was given out; 'seq', the last number of a job that waits behind
--   another of its key; 'kept', when the keys' ends were put off last; 'dropped', dead letters that fell out;
--   'lost', jobs whose content was gone
-- KEYS[2] list of ids that are ready; KEYS[3] hash of contents; KEYS[4] hash of states, see below
-- KEYS[5] sorted set of who is in flight, by the end of the lease; KEYS[6] of who is delayed, by when it is due;
-- KEYS[7] of the ids that are known, by until when; all in milliseconds of the server's clock
-- KEYS[8] hash from a key to its first job, the only one that is ready, in flight or delayed; KEYS[9] sorted
--   set of those behind it: key, zero byte, 16 digits, id
-- KEYS[10] sorted set of dead letters by when they died; KEYS[11] hash of what they were
-- KEYS[12] sorted set of consumers that wait to be called, by until when
-- A state is '<attempts> <fence or 0> <pushed at> <consumer or -> <due> <key>'.
local time = redis.call('TIME')
local micros = time[1] * 1000000 + time[2]
local now = math.floor(micros / 1000)
local KEPT = 2592000000
local HOUR = 3600000
local ready_now = 0
local written = {}

local function wrote(...)
  for _, n in ipairs({...}) do
    written[n] = true
  end
end
-- Whatever was written ends; while the queue is used, that is put off, once an hour.
local function keep()
  local kept = tonumber(redis.call('HGET', KEYS[1], 'kept') or 0)
  if now - kept > HOUR or now < kept then
    redis.call('HSET', KEYS[1], 'kept', string.format('%.0f', now))
    for n = 1, 12 do
      redis.call('PEXPIRE', KEYS[n], KEPT)
    end
  else
    for n in pairs(written) do
      redis.call('PEXPIRE', KEYS[n], KEPT, 'NX')
    end
  end
end
local function read(text)
  local attempts, fence, pushed, consumer, due, key =
    string.match(text or '', '^(%d+) (%d+) (%d+) (%S+) (%d+) (.*)$')
  if not attempts then
    return nil
  end
  return {attempts = tonumber(attempts), fence = fence, pushed = pushed, consumer = consumer,
    due = tonumber(due), key = key}
end
local function text(state)
  return string.format('%.0f %s %s %s %.0f %s', state.attempts, state.fence, state.pushed, state.consumer,
    state.due, state.key)
end
-- Ready, or when it is due.
local function line_up(id, due)
  if due > now then
    redis.call('ZADD', KEYS[6], due, id)
    wrote(6)
  else
    redis.call('RPUSH', KEYS[2], id)
    wrote(2)
    ready_now = ready_now + 1
  end
end
-- A new job, behind those of its key.
local function admit(id, due, key)
  local state = {attempts = 0, fence = '0', pushed = string.format('%.0f', now), consumer = '-', due = due,
    key = key}
  redis.call('HSET', KEYS[4], id, text(state))
  wrote(3, 4)
  if key ~= '' and redis.call('HSETNX', KEYS[8], key, id) == 0 then
    local seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
    redis.call('ZADD', KEYS[9], 0, key .. '\0' .. string.format('%016.0f', seq) .. id)
    wrote(9)
    return
  end
  if key ~= '' then
    wrote(8)
  end
  line_up(id, due)
end
-- The first job of a key is gone: the next may come.
local function next_of(key)
  if key == '' then
    return
  end
  while true do
    local line = redis.call('ZRANGEBYLEX', KEYS[9], '[' .. key .. '\0', '(' .. key .. '\1', 'LIMIT', 0, 1)[1]
    if not line then
      redis.call('HDEL', KEYS[8], key)
      return
    end
    redis.call('ZREM', KEYS[9], line)
    local id = string.sub(line, #key + 18)
    local state = read(redis.call('HGET', KEYS[4], id))
    if state then
      redis.call('HSET', KEYS[8], key, id)
      line_up(id, state.due)
      return
    end
    redis.call('HINCRBY', KEYS[1], 'lost', 1)
  end
end
local function forget(id)
  redis.call('HDEL', KEYS[3], id)
  redis.call('HDEL', KEYS[4], id)
  redis.call('ZREM', KEYS[5], id)
end
-- Its end is in one step with the dead letter.
local function bury(id, state, reason)
  local letter = string.format('%.0f %s %.0f %s %d %d ', state.attempts, state.pushed, now, state.consumer,
    #state.key, #reason)
  local content = redis.call('HGET', KEYS[3], id) or ''
  redis.call('HSET', KEYS[11], id, letter .. state.key .. reason .. content)
  redis.call('ZADD', KEYS[10], now, id)
  wrote(10, 11)
  forget(id)
  next_of(state.key)
end
local function drop_letters(ids)
  if #ids > 0 then
    redis.call('ZREM', KEYS[10], unpack(ids))
    redis.call('HDEL', KEYS[11], unpack(ids))
    redis.call('HINCRBY', KEYS[1], 'dropped', #ids)
  end
end
-- No more letters than `most`, none older than `age` milliseconds; a part of them.
local function bound_letters(most, age)
  drop_letters(redis.call('ZRANGEBYSCORE', KEYS[10], '-inf', now - age, 'LIMIT', 0, 100))
  local more = redis.call('ZCARD', KEYS[10]) - most
  if more > 0 then
    drop_letters(redis.call('ZRANGE', KEYS[10], 0, math.min(more, 100) - 1))
  end
end
-- Calls as many who wait as there is work for. A login without the right to publish does the rest all the
-- same: who waits looks again anyway.
local function call(channel, most)
  if most < 1 then
    return
  end
  local waiting = redis.call('ZPOPMAX', KEYS[12], math.min(most, 32))
  for n = 1, #waiting, 2 do
    if tonumber(waiting[n + 1]) > now then
      redis.pcall('PUBLISH', channel, waiting[n])
    end
  end
end
