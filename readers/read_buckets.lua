-- The fields ARGV of each hash in KEYS, hash after hash in one flat list; absent ones are 0.
local values = {}
local n = 0
for _, key in ipairs(KEYS) do
  local found = redis.pcall('HMGET', key, unpack(ARGV))
  if found.err and not string.find(found.err, 'WRONGTYPE') then return found end
  for i = 1, #ARGV do
    n = n + 1
    values[n] = found[i] and tonumber(found[i]) or 0
  end
end
return values
