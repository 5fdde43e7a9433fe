-- Sums every field over the hashes KEYS; name and sum in turn in one flat list.
local sums = {}
for _, key in ipairs(KEYS) do
  local fields = redis.pcall('HGETALL', key)
  if fields.err and not string.find(fields.err, 'WRONGTYPE') then return fields end -- else nothing is to be added
  for i = 1, #fields, 2 do
    sums[fields[i]] = (sums[fields[i]] or 0) + (tonumber(fields[i + 1]) or 0)
  end
end
local flat = {}
for name, sum in pairs(sums) do
  flat[#flat + 1] = name
  flat[#flat + 1] = sum
end
return flat
