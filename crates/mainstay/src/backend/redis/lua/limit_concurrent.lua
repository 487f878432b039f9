-- Permits that are given back, or expire unless they are renewed: at most `limit` are out at any time.
-- STATE {'c', id of a permit, when it ends in microseconds, how long it lasts, its cost, ..}
-- ARGV a: microseconds that a permit lasts; c: its id. Who has the id already gets the same permit anew.
algorithms.concurrent = {
  read = function(d)
    local state = unpacked(d.key, 'c') or {}
    local permits, used = {}, 0
    for i = 2, #state, 4 do
      local ends, lease = state[i + 1], state[i + 2]
      if ends > now then
        -- After the clock stepped back it lasts no longer than from now.
        d.moved = d.moved or ends > now + lease
        local permit = {id = state[i], ends = math.min(ends, now + lease), lease = lease, cost = state[i + 3]}
        if permit.id == d.id then
          d.own = permit
        else
          permits[#permits + 1] = permit
          used = used + permit.cost
        end
      end
    end
    d.permits, d.used = permits, used
    d.free = math.max(d.limit - used, 0)
  end,
  charge = function(d)
    d.own = {id = d.id, ends = now + d.a, lease = d.a, cost = d.cost}
  end,
  refund = function(d, at)
    local had = d.own
    d.own = nil
    return had ~= nil
  end,
  wait = function(d)
    local used = d.used
    table.sort(d.permits, function(one, other)
      return one.ends < other.ends
    end)
    for _, permit in ipairs(d.permits) do
      used = used - permit.cost
      if d.cost <= d.limit - used then
        return permit.ends - now
      end
    end
    return 0
  end,
  reset = function(d)
    local last = d.own and d.own.ends or now
    for _, permit in ipairs(d.permits) do
      last = math.max(last, permit.ends)
    end
    return last - now
  end,
  state = function(d)
    local state = {'c'}
    d.permits[#d.permits + 1] = d.own
    for _, permit in ipairs(d.permits) do
      local last = #state
      state[last + 1], state[last + 2] = permit.id, permit.ends
      state[last + 3], state[last + 4] = permit.lease, permit.cost
    end
    return cmsgpack.pack(state)
  end,
}
