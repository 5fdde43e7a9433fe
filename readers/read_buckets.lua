-- The fields ARGV of each hash in KEYS, hash after hash in one flat list; absent ones are 0.
local values = {}
local n = 0
for _, key in ipairs(KEYS) do
  for _, value in ipairs(redis.call('HMGET', key, unpack(ARGV))) do
    n = n + 1
    values[n] = value and tonumber(value) or 0
  end
end
return values
