-- Reads several records as they are packed, large ones without their data.
-- KEYS records
-- RETURNS {record or nil, ..}
local LARGE = 1024
local lines = redis.call('MGET', unpack(KEYS))
for i, packed in ipairs(lines) do
  -- To take a record apart is more work for the server than to send a small one.
  if packed and #packed > LARGE then
    local told = {}
    for name, value in pairs(cmsgpack.unpack(packed)) do
      if name ~= 'data' and string.sub(name, 1, 1) ~= '.' then
        told[name] = value
      end
    end
    lines[i] = cmsgpack.pack(told)
  end
end
return lines
