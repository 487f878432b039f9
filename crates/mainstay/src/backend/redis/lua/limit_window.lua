-- Decides on several sliding windows at once: charges all of them, or none.
-- A period is cut into 60 buckets. A bucket counts until all of it has left the period, so the
-- admitted cost in any interval of that length never exceeds the limit.
-- KEYS[i] state of window i: msgpack array {bucket width, newest bucket, its count, the one before, ..}
-- ARGV[3i-2] limit, ARGV[3i-1] bucket width in microseconds, ARGV[3i] cost
-- RETURNS {server time in microseconds, then for each window: 1 admitted or 0, remaining,
--          microseconds until the cost fits (0 now, -1 never), microseconds until nothing counts}
local BUCKETS = 60
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function read(key, width)
  -- counts[age + 1] belongs to the bucket `age` before the current one
  local counts, used, rebased = {}, 0, false
  for age = 0, BUCKETS do
    counts[age + 1] = 0
  end
  local packed = redis.call('GET', key)
  if packed then
    local state = cmsgpack.unpack(packed)
    local shift = math.floor(now / state[1]) - state[2]
    -- After the clock stepped back, and under another width (the policy was changed), all that
    -- still counts does so as of now. That is kept even if nothing is charged: otherwise it would
    -- count as of now at every look, and never leave.
    rebased = shift < 0 or state[1] ~= width
    shift = math.max(shift, 0)
    for i = 3, #state do
      local age = i - 3 + shift
      if age > BUCKETS then
        break
      end
      local slot = rebased and 0 or age
      counts[slot + 1] = counts[slot + 1] + state[i]
      used = used + state[i]
    end
  end
  return counts, used, rebased
end

-- Microseconds until the bucket of this age no longer counts.
local function leaves_in(age, width, current)
  return (current - age + BUCKETS + 1) * width - now
end

local function write(key, counts, width, current)
  local newest, oldest = nil, 0
  for age = 0, BUCKETS do
    if counts[age + 1] > 0 then
      newest, oldest = newest or age, age
    end
  end
  if not newest then
    return
  end
  local state = {width, current}
  for age = 0, oldest do
    state[age + 3] = counts[age + 1]
  end
  local keep = math.ceil(leaves_in(newest, width, current) / 1000)
  redis.call('SET', key, cmsgpack.pack(state), 'PX', string.format('%.0f', keep))
end

local windows, all_admitted = {}, true
for i = 1, #KEYS do
  local limit, width, cost = tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1]), tonumber(ARGV[3 * i])
  local current = math.floor(now / width)
  local counts, used, rebased = read(KEYS[i], width)
  local admitted = used + cost <= limit
  all_admitted = all_admitted and admitted
  windows[i] = {limit = limit, width = width, cost = cost, current = current, counts = counts,
    used = used, rebased = rebased, admitted = admitted}
end

local answer = {now}
for i = 1, #KEYS do
  local w = windows[i]
  if all_admitted and w.cost > 0 then
    w.counts[1] = w.counts[1] + w.cost
    w.used = w.used + w.cost
    write(KEYS[i], w.counts, w.width, w.current)
  elseif w.rebased then
    write(KEYS[i], w.counts, w.width, w.current)
  end
  local retry = 0
  if not w.admitted then
    retry = -1
    local used = w.used
    for age = BUCKETS, 0, -1 do
      used = used - w.counts[age + 1]
      if used + w.cost <= w.limit then
        retry = leaves_in(age, w.width, w.current)
        break
      end
    end
  end
  local reset = 0
  for age = 0, BUCKETS do
    if w.counts[age + 1] > 0 then
      reset = leaves_in(age, w.width, w.current)
      break
    end
  end
  answer[#answer + 1] = w.admitted and 1 or 0
  answer[#answer + 1] = math.max(w.limit - w.used, 0)
  answer[#answer + 1] = retry
  answer[#answer + 1] = reset
end
return answer
