-- Decides on several limits at once: charges all of them, or none.
-- After limit_clock.lua and the algorithms that are asked for.
-- KEYS[i] state of limit i; one key more: what a call that is safe to repeat was answered
-- ARGV[1] '1' to charge, '0' to look, '2' to renew permits that are out, each by itself; then six words for each limit: algorithm, limit, a, b, c, cost
-- ARGV[last] milliseconds that the answer to a call that is safe to repeat is kept, if there is that key
-- RETURNS {server time in microseconds, then for each limit: 1 admitted or 0, remaining,
--          microseconds until the cost fits (0 now, -1 never), microseconds until nothing counts}
--   | {server time} if a calendar window does not hold it
local limits = math.floor((#ARGV - 1) / 6)
local repeated = KEYS[limits + 1]
local answered = repeated and redis.call('GET', repeated)
if answered then
  return cmsgpack.unpack(answered)
end
local demands, all_admitted = {}, true
for i = 1, limits do
  local d = demand(i, 6 * i - 4)
  if d.algorithm.read(d) then
    return {now}
  end
  if ARGV[1] == '2' and not d.own then
    d.free = 0
  end
  d.admitted = d.cost <= d.free
  all_admitted = all_admitted and d.admitted
  demands[i] = d
end
local answer = {now}
for _, d in ipairs(demands) do
  local remaining, retry = d.free, 0
  if not d.admitted then
    retry = d.cost > d.limit and -1 or d.algorithm.wait(d)
  end
  local charged = d.cost > 0 and (all_admitted and ARGV[1] == '1' or d.admitted and ARGV[1] == '2')
  if charged then
    d.algorithm.charge(d)
    remaining = remaining - d.cost
  end
  local reset = d.algorithm.reset(d)
  if charged or d.moved then
    keep(d.key, d.algorithm.state(d), reset)
  end
  answer[#answer + 1] = d.admitted and 1 or 0
  answer[#answer + 1] = remaining
  answer[#answer + 1] = retry
  answer[#answer + 1] = reset
end
if repeated and all_admitted and ARGV[1] == '1' then
  redis.call('SET', repeated, cmsgpack.pack(answer), 'PX', ARGV[#ARGV])
end
return answer
