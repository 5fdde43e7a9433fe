-- Sums the fields ARGV over the hashes KEYS; absent fields and hashes count 0.
local sums = {}
for i = 1, #ARGV do
  sums[i] = 0
end
for _, key in ipairs(KEYS) do
  local found = redis.pcall('HMGET', key, unpack(ARGV))
  if found.err and not string.find(found.err, 'WRONGTYPE') then return found end -- else nothing is to be added
  for i, value in ipairs(found) do
    if value then
      sums[i] = sums[i] + (tonumber(value) or 0)
    end
  end
end
return sums
