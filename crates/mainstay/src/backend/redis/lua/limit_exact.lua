-- A log of all that was admitted in a period, for small limits: what is admitted in any interval (t -
-- period, t] is never above the limit, and nothing is held longer than need be.
-- STATE {'e', period, time of the first in microseconds, its cost, time from it to the next, its cost, ..}
-- ARGV a: period in microseconds
algorithms.exact = {
  read = function(d)
    local state = unpacked(d.key, 'e') or {}
    local times, costs, used, at = {}, {}, 0, 0
    d.lasts = math.min(d.a, state[2] or d.a)
    for i = 3, #state, 2 do
      at = at + state[i]
      if at + d.lasts > now then
        d.moved = d.moved or at > now
        times[#times + 1], costs[#costs + 1] = math.min(at, now), state[i + 1]
        used = used + state[i + 1]
      end
    end
    d.times, d.costs, d.used = times, costs, used
    d.free = math.max(d.limit - used, 0)
  end,
  charge = function(d)
    d.lasts = d.a
    local last = #d.times
    if d.times[last] == now then
      d.costs[last] = d.costs[last] + d.cost
    else
      d.times[last + 1], d.costs[last + 1] = now, d.cost
    end
  end,
  refund = function(d, at)
    -- After the clock stepped back several may have the same time.
    local left = d.cost
    for i, taken in ipairs(d.times) do
      if taken == at then
        local back = math.min(d.costs[i], left)
        d.costs[i], left = d.costs[i] - back, left - back
      end
    end
    if left == d.cost then
      return false
    end
    d.lasts = d.a
    return true
  end,
  wait = function(d)
    local used = d.used
    for i, cost in ipairs(d.costs) do
      used = used - cost
      if d.cost <= d.limit - used then
        return d.times[i] + d.lasts - now
      end
    end
  end,
  reset = function(d)
    for i = #d.times, 1, -1 do
      if d.costs[i] > 0 then
        return d.times[i] + d.lasts - now
      end
    end
    return 0
  end,
  state = function(d)
    local state, last = {'e', d.lasts}, 0
    for i, at in ipairs(d.times) do
      if d.costs[i] > 0 then
        state[#state + 1], state[#state + 2], last = at - last, d.costs[i], at
      end
    end
    return cmsgpack.pack(state)
  end,
}
