-- A sliding window log whose times are rounded up to buckets, 60 a period. A bucket counts until all of
-- it has left the period: the cost admitted in any interval of that length is never above the limit.
-- STATE {'w', bucket width, oldest bucket, its count, the next one's, ..}
-- ARGV a: bucket width in microseconds
local BUCKETS = 60
algorithms.window = {
  read = function(d)
    local width = d.a
    local current = math.floor(now / width)
    local state, used = unpacked(d.key, 'w'), 0
    if state then
      -- After the clock stepped back, and under another width (the policy was changed), all that still
      -- counts does so as of now. That is kept even if nothing is charged: otherwise it would count
      -- as of now at every look, and never leave.
      local newest = state[3] + #state - 4
      local gone = math.max(math.floor(now / state[2]), newest) - BUCKETS - state[3]
      for i = 4 + math.max(gone, 0), #state do
        used = used + state[i]
      end
      if state[2] ~= width or newest > current then
        d.moved, state = true, {'w', width, current, used}
      elseif used == 0 then
        state = nil
      elseif gone > 0 then
        local rest = {'w', width, state[3] + gone}
        for i = 4 + gone, #state do
          rest[#rest + 1] = state[i]
        end
        state = rest
      end
    end
    d.current, d.counts, d.used = current, state or {'w', width, current}, used
    d.free = math.max(d.limit - used, 0)
  end,
  charge = function(d)
    local at = d.current - d.counts[3] + 4
    for i = #d.counts + 1, at do
      d.counts[i] = 0
    end
    d.counts[at] = d.counts[at] + d.cost
  end,
  refund = function(d, at)
    local index = math.floor(at / d.a) - d.counts[3] + 4
    local counted = index >= 4 and d.counts[index] or 0
    if counted == 0 then
      return false
    end
    d.counts[index] = math.max(counted - d.cost, 0)
    while d.counts[#d.counts] == 0 and #d.counts > 3 do
      d.counts[#d.counts] = nil
    end
    return true
  end,
  wait = function(d)
    local used = d.used
    for i = 4, #d.counts do
      used = used - d.counts[i]
      if d.cost <= d.limit - used then
        return (d.counts[3] + i - 4 + BUCKETS + 1) * d.a - now
      end
    end
  end,
  reset = function(d)
    for i = #d.counts, 4, -1 do
      if d.counts[i] > 0 then
        return (d.counts[3] + i - 4 + BUCKETS + 1) * d.a - now
      end
    end
    return 0
  end,
  state = function(d)
    return cmsgpack.pack(d.counts)
  end,
}
