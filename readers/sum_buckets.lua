-- Sums the fields ARGV over the hashes KEYS; absent fields and hashes count 0.
local sums = {}
for i = 1, #ARGV do
  sums[i] = 0
end
for _, key in ipairs(KEYS) do
  for i, value in ipairs(redis.call('HMGET', key, unpack(ARGV))) do
    if value then
      sums[i] = sums[i] + tonumber(value)
    end
  end
end
return sums
