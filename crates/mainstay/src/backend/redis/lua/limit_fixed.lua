-- A window of the calendar: at most `limit` from its start to its end, so twice that around an end.
-- STATE {'f', second since 1970 when it was written, end of the window, used}
-- ARGV a, b, c: the window [a, b) or the next one, [b, c), in seconds since 1970; whoever asks knows
--   calendar and time zone, and asks again with others if now is in neither
algorithms.fixed = {
  read = function(d)
    local second = math.floor(now / 1000000)
    if second < d.a or second >= d.c then
      return true
    end
    d.starts, d.ends = d.a, d.b
    if second >= d.b then
      d.starts, d.ends = d.b, d.c
    end
    d.second, d.used, d.leaves = second, 0, d.ends
    local state = unpacked(d.key, 'f')
    if state and second < state[3] then
      if second < state[2] then
        d.used, d.moved = state[4], true
      elseif state[2] >= d.starts then
        -- Of another calendar, too: it was charged in this window, at least in part.
        d.used, d.leaves = state[4], math.min(state[3], d.ends)
      end
    end
    d.free = math.max(d.limit - d.used, 0)
  end,
  charge = function(d)
    d.used, d.leaves = d.used + d.cost, d.ends
  end,
  refund = function(d, at)
    if at < d.starts * 1000000 or d.used == 0 then
      return false
    end
    d.used, d.leaves = math.max(d.used - d.cost, 0), d.ends
    return true
  end,
  wait = function(d)
    return d.leaves * 1000000 - now
  end,
  reset = function(d)
    return d.used > 0 and d.leaves * 1000000 - now or 0
  end,
  state = function(d)
    return cmsgpack.pack({'f', d.second, d.leaves, d.used})
  end,
}
