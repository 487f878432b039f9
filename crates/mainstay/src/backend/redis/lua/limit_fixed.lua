-- A window of the calendar: at most `limit` from its start to its end, so twice that around an end.
-- STATE {'f', end in seconds since 1970, used}
-- ARGV a, b, c: the window [a, b) or the next one, [b, c), in seconds since 1970; whoever asks knows
--   calendar and time zone, and asks again with others if now is in neither
algorithms.fixed = {
  read = function(d)
    local second = math.floor(now / 1000000)
    if second < d.a or second >= d.c then
      return true
    end
    local ends = second < d.b and d.b or d.c
    local state, used = unpacked(d.key, 'f'), 0
    if state and second < state[2] then
      -- After the clock stepped back, and under another calendar, what was taken counts in this window.
      used, d.moved = state[3], state[2] ~= ends
    end
    d.ends, d.used = ends, used
    d.free = math.max(d.limit - used, 0)
  end,
  charge = function(d)
    d.used = d.used + d.cost
  end,
  refund = function(d, at)
    local starts = d.ends == d.b and d.a or d.b
    if at < starts * 1000000 or d.used == 0 then
      return false
    end
    d.used = math.max(d.used - d.cost, 0)
    return true
  end,
  wait = function(d)
    return d.ends * 1000000 - now
  end,
  reset = function(d)
    return d.used > 0 and d.ends * 1000000 - now or 0
  end,
  state = function(d)
    return cmsgpack.pack({'f', d.ends, d.used})
  end,
}
