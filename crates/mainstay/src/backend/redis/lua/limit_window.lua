-- A sliding window log whose times are rounded up to buckets, 60 a period. A bucket counts until all of
-- it has left the period: the cost admitted in any interval of that length is never above the limit.
-- STATE {'w', bucket width, oldest bucket, its count, the next one's, ..}
-- ARGV a: bucket width in microseconds
local BUCKETS = 60
local function window_leaves(bucket, width)
  return (bucket + BUCKETS + 1) * width
end

-- What still counts of buckets of another width, from state[first] on. A bucket counts as of its last
-- instant, or of now.
local function window_converted(d, state, first, current)
  local theirs, width = state[2], d.a
  local counts, used = {'w', width, current}, 0
  d.leaving = {}
  for i = first, #state do
    local count, bucket = state[i], state[3] + i - 4
    local last = (bucket + 1) * theirs - 1
    local at = math.floor(math.min(last, now) / width)
    if count > 0 and at + BUCKETS >= current then
      if used == 0 then
        counts[3] = at
      end
      local index = at - counts[3] + 4
      for gap = #counts + 1, index do
        counts[gap] = 0
      end
      counts[index] = counts[index] + count
      used = used + count
      local ends = math.min(window_leaves(bucket, theirs), window_leaves(math.floor(last / width), width))
      d.leaving[#d.leaving + 1] = {count, ends}
    end
  end
  return counts, used
end

algorithms.window = {
  read = function(d)
    local width = d.a
    local current = math.floor(now / width)
    local state, used = unpacked(d.key, 'w'), 0
    if state then
      local theirs = state[2]
      local newest = state[3] + #state - 4
      local gone = math.max(math.max(math.floor(now / theirs), newest) - BUCKETS - state[3], 0)
      if newest * theirs <= now and theirs ~= width then
        state, used = window_converted(d, state, 4 + gone, current)
      else
        for i = 4 + gone, #state do
          used = used + state[i]
        end
        if newest * theirs > now then
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
    end
    d.current, d.counts, d.used = current, state or {'w', width, current}, used
    d.free = math.max(d.limit - used, 0)
  end,
  charge = function(d)
    d.leaving = nil
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
    d.leaving = nil
    d.counts[index] = math.max(counted - d.cost, 0)
    while d.counts[#d.counts] == 0 and #d.counts > 3 do
      d.counts[#d.counts] = nil
    end
    return true
  end,
  wait = function(d)
    local used = d.used
    for _, left in ipairs(d.leaving or {}) do
      used = used - left[1]
      if d.cost <= d.limit - used then
        return left[2] - now
      end
    end
    for i = 4, #d.counts do
      used = used - d.counts[i]
      if d.cost <= d.limit - used then
        return window_leaves(d.counts[3] + i - 4, d.a) - now
      end
    end
  end,
  reset = function(d)
    if d.leaving then
      local last = d.leaving[#d.leaving]
      return last and last[2] - now or 0
    end
    for i = #d.counts, 4, -1 do
      if d.counts[i] > 0 then
        return window_leaves(d.counts[3] + i - 4, d.a) - now
      end
    end
    return 0
  end,
  state = function(d)
    return cmsgpack.pack(d.counts)
  end,
}
