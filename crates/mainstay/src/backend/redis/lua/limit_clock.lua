-- What every script of rate limits starts with: the server's time, and how a state is kept.
-- An algorithm is a table of functions over a demand `d`, whose `key`, `limit`, `cost`, `a`, `b`, `c` and
-- `id` come from ARGV:
--   read(d)       sets d.free, the units that fit now, and d.moved if the clock has stepped back: what was
--                 counted then counts as of now, and is kept so though nothing is charged; true if the
--                 demand cannot be decided at this time
--   charge(d)     takes the cost
--   refund(d, at) gives the cost back that was taken then; whether something changed
--   wait(d)       microseconds until a cost fits that is not above the limit
--   reset(d)      microseconds until nothing counts any more, 0 if nothing does
--   state(d)      what is kept until then
-- A state may have been written by another rule of the algorithm. What it counts leaves when the one or the
-- other rule lets it, whichever is earlier; only a charge, or what is given back, writes it by the rule of
-- the demand.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local algorithms = {}

local function keep(key, state, micros)
  if micros > 0 then
    redis.call('SET', key, state, 'PX', string.format('%.0f', math.ceil(micros / 1000)))
  else
    redis.call('DEL', key)
  end
end

-- A state that begins with the letter of its algorithm; none if another algorithm has written it. That of a
-- bucket is no array of msgpack, which begins with 144 or more.
local function unpacked(key, letter)
  local packed = redis.call('GET', key)
  local state = packed and string.byte(packed) >= 144 and cmsgpack.unpack(packed)
  return type(state) == 'table' and state[1] == letter and state or nil
end

-- The demand of KEYS[i], whose six words begin at ARGV[first].
local function demand(i, first)
  local algorithm = algorithms[ARGV[first]]
  return {algorithm = algorithm, key = KEYS[i], limit = tonumber(ARGV[first + 1]),
    a = tonumber(ARGV[first + 2]), b = tonumber(ARGV[first + 3]), c = tonumber(ARGV[first + 4]),
    id = ARGV[first + 4], cost = tonumber(ARGV[first + 5])}
end
