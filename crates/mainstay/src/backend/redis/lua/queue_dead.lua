-- Dead letters, the latest first; no more after 4 MiB.
-- After queue_state.lua, which says what the keys are.
-- ARGV[1] how many to leave out, ARGV[2] how many at most
-- RETURNS {id, attempts, pushed at, died at, consumer, key, reason, content} for each
local first = tonumber(ARGV[1])
local letters, bytes = {}, 0
for _, id in ipairs(redis.call('ZREVRANGE', KEYS[10], first, first + ARGV[2] - 1)) do
  if bytes > 4194304 then
    break
  end
  local letter = redis.call('HGET', KEYS[11], id) or ''
  local attempts, pushed, died, consumer, key, reason, at =
    string.match(letter, '^(%d+) (%d+) (%d+) (%S+) (%d+) (%d+) ()')
  bytes = bytes + #letter
  if attempts then
    local after_key = at + key
    local after_reason = after_key + reason
    letters[#letters + 1] = {id, tonumber(attempts), pushed, died, consumer, string.sub(letter, at, after_key - 1),
      string.sub(letter, after_key, after_reason - 1), string.sub(letter, after_reason)}
  end
end
return letters
