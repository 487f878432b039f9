-- What the scripts of sessions share: the time, and how a record is kept.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function ms(number)
  return string.format('%.0f', number)
end
-- What is stored under a key, as a table; nil for nothing.
local function read(key)
  local packed = redis.call('GET', key)
  return packed and cmsgpack.unpack(packed) or nil
end
-- When a session ends. A use is written down only when a twentieth of the idle time has passed, so
-- that much is added: nobody is logged out early.
local function ends(held)
  return math.min(held.touched + held.idle + math.floor(held.idle / 20), held.deadline)
end
-- A user's epoch as a number, or nil.
local function epoch_of(user)
  return tonumber(redis.call('GET', user) or nil)
end
-- nil: no valid session. Otherwise the record, with 'to' where the id has moved to another.
local function session(record, user)
  local held = read(record)
  if not held or held.to then
    return held
  end
  if not held.epoch or (held.epoch ~= 0 and held.epoch ~= epoch_of(user)) or now >= ends(held) then
    return nil
  end
  return held
end
-- Stores a session until it ends; when that is, its user's listing tells as well.
local function store(record, held, index, id_hash)
  local at = ms(ends(held))
  redis.call('SET', record, cmsgpack.pack(held), 'PXAT', at)
  redis.call('ZADD', index, 'XX', at, id_hash)
end
