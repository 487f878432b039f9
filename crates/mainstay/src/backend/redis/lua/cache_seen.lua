-- Comes before the scripts that compare an entry with what their caller has seen: how it begins, or,
-- of what another program has written, its SHA-1.
local function is_seen(value, seen)
  if string.sub(seen, 1, 5) == 'sha1:' then
    return 'sha1:' .. redis.sha1hex(value) == seen
  end
  return string.sub(value, 1, #seen) == seen
end
