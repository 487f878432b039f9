-- GCRA (ITU-T I.371): a bucket of `limit` units of which one comes back each interval. In any time t at
-- most limit + t / interval units are admitted.
-- STATE <when the bucket will be full>:<microseconds until then when it was written>. The first is in
--   nanoseconds since 1970, of which the last three digits are kept apart here, since Lua counts exactly
--   only to 2^53
-- Until then are d.left microseconds and d.part ticks, fewer than a microsecond has.
-- ARGV a: interval in ticks; b: ticks in a microsecond, 1000 or 1. limit * a is at most 2^52.
algorithms.gcra = {
  read = function(d)
    local full = redis.call('GET', d.key)
    local micros, nanos, missing
    if full then
      micros, nanos, missing = string.match(full, '^(%d+)(%d%d%d):(%d+)$')
    end
    d.size, d.left, d.part = d.limit * d.a, 0, 0
    if micros and tonumber(micros) >= now then
      d.left, d.part = micros - now, math.ceil(nanos * d.b / 1000)
      if d.left > tonumber(missing) then
        d.moved, d.left = true, tonumber(missing)
      end
      if d.part >= d.b then
        d.left, d.part = d.left + 1, 0
      end
    end
    -- A bucket that was made smaller may owe more than it holds.
    d.free = math.max(math.floor((d.size - d.left * d.b - d.part) / d.a), 0)
  end,
  charge = function(d)
    local part = d.part + d.cost * d.a
    d.left, d.part = d.left + math.floor(part / d.b), part % d.b
  end,
  refund = function(d, at)
    if d.left + d.part == 0 then
      return false
    end
    local part = d.part - math.min(d.cost, d.limit) * d.a
    d.left, d.part = d.left + math.floor(part / d.b), part % d.b
    if d.left < 0 then
      d.left, d.part = 0, 0
    end
    return d.cost > 0
  end,
  wait = function(d)
    return d.left + math.ceil((d.part + d.cost * d.a - d.size) / d.b)
  end,
  reset = function(d)
    return d.left + math.ceil(d.part / d.b)
  end,
  state = function(d)
    return string.format('%016.0f%03.0f:%.0f', now + d.left, d.part * (1000 / d.b), d.left)
  end,
}
