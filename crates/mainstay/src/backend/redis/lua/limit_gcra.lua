-- GCRA (ITU-T I.371): a bucket of `limit` units of which one comes back each interval. In any time t at
-- most limit + t / interval units are admitted.
-- STATE 12 bytes: when the bucket will be full, in microseconds since 1970 (7 bytes, the first of which is
--   small); nanoseconds on top (10 bits) and the milliseconds until then when it was written, rounded up (30
--   bits, of which all are set beyond 12 days)
-- Until then are d.left microseconds and d.part ticks, fewer than a microsecond has.
-- ARGV a: interval in ticks; b: ticks in a microsecond, 1000 or 1. limit * a is at most 2^52.
local LONGEST = 2 ^ 30 - 1
algorithms.gcra = {
  read = function(d)
    local full = redis.call('GET', d.key)
    d.size, d.left, d.part = d.limit * d.a, 0, 0
    if full and #full == 12 and string.byte(full) < 128 then
      local micros, rest = struct.unpack('>I7I5', full)
      local missing = rest % (LONGEST + 1)
      if micros >= now then
        d.left, d.part = micros - now, math.ceil((rest - missing) / (LONGEST + 1) * d.b / 1000)
        if missing < LONGEST and d.left > missing * 1000 then
          d.moved, d.left, d.part = true, missing * 1000, 0
        elseif d.part >= d.b then
          d.left, d.part = d.left + 1, 0
        end
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
    local missing = math.min(math.ceil((d.left + math.ceil(d.part / d.b)) / 1000), LONGEST)
    return struct.pack('>I7I5', now + d.left, d.part * (1000 / d.b) * (LONGEST + 1) + missing)
  end,
}
