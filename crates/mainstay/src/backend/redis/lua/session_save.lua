-- Changes fields of a session's data, all or none.
-- KEYS[1] record, KEYS[2] user, KEYS[3] listing
-- ARGV[1] id hash, ARGV[2] '1' when none may have changed before, ARGV[3] ms that the session lasts
-- from now or '', then for each field: name, what it was, what it is to be; both with '=' in front,
-- or '' for nothing
-- RETURNS nil there is none | its new id hash | {} | {fields that had changed, ..}
local held = session(KEYS[1], KEYS[2])
if not held or held.to then
  return held and held.to
end
local conflicts = {}
if ARGV[2] == '1' then
  for i = 4, #ARGV, 3 do
    local is = held[ARGV[i]]
    if (is and '=' .. is or '') ~= ARGV[i + 1] then
      conflicts[#conflicts + 1] = ARGV[i]
    end
  end
end
if #conflicts > 0 then
  return conflicts
end
for i = 4, #ARGV, 3 do
  local after = ARGV[i + 2]
  held[ARGV[i]] = after ~= '' and string.sub(after, 2) or nil
end
if ARGV[3] ~= '' then
  held.touched, held.idle = now, tonumber(ARGV[3])
  held.deadline = now + held.idle
  store(KEYS[1], held, KEYS[3], ARGV[1])
else
  redis.call('SET', KEYS[1], cmsgpack.pack(held), 'KEEPTTL')
end
return {}
