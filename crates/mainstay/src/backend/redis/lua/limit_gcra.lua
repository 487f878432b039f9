-- GCRA (ITU-T I.371): a bucket of `limit` units of which one comes back each interval. In any time t at
-- most limit + t / interval units are admitted.
-- STATE when the bucket will be full, as nanoseconds since 1970: a number of 19 digits or more, of which
--   the last three are kept apart here, since Lua counts exactly only to 2^53
-- ARGV a: interval in ticks; b: ticks in a microsecond, 1000 or 1. limit * a is at most 2^52.
algorithms.gcra = {
  read = function(d)
    local full = redis.call('GET', d.key)
    local micros = full and #full >= 19 and tonumber(string.sub(full, 1, -4))
    d.size, d.debt = d.limit * d.a, 0
    if micros and micros >= now then
      local nanos = tonumber(string.sub(full, -3))
      d.debt = (micros - now) * d.b + math.ceil(nanos * d.b / 1000)
      -- The clock stepped back, or the bucket was made smaller: it is empty.
      if d.debt > d.size then
        d.debt, d.moved = d.size, true
      end
    end
    d.free = math.floor((d.size - d.debt) / d.a)
  end,
  charge = function(d)
    d.debt = d.debt + d.cost * d.a
  end,
  refund = function(d, at)
    local debt = d.debt
    d.debt = math.max(debt - d.cost * d.a, 0)
    return d.debt < debt
  end,
  wait = function(d)
    return math.ceil((d.debt + d.cost * d.a - d.size) / d.b)
  end,
  reset = function(d)
    return math.ceil(d.debt / d.b)
  end,
  state = function(d)
    local micros = math.floor(d.debt / d.b)
    local nanos = (d.debt - micros * d.b) * (1000 / d.b)
    return string.format('%016.0f%03.0f', now + micros, nanos)
  end,
}
