-- Gives back what was taken from several limits at once.
-- After limit_clock.lua and the algorithms that are asked for.
-- KEYS[i] state of limit i
-- ARGV[1] server time of the decision in microseconds; then six words for each limit, as for
--   limit_take.lua
-- RETURNS how many limits have got something back; {server time in microseconds} if a calendar window
--   does not hold it
local demands = {}
for i = 1, #KEYS do
  local d = demand(i, 6 * i - 4)
  if d.algorithm.read(d) then
    return {now}
  end
  demands[i] = d
end
local refunded = 0
for _, d in ipairs(demands) do
  if d.algorithm.refund(d, tonumber(ARGV[1])) then
    refunded = refunded + 1
    keep(d.key, d.algorithm.state(d), d.algorithm.reset(d))
  elseif d.moved then
    keep(d.key, d.algorithm.state(d), d.algorithm.reset(d))
  end
end
return refunded
