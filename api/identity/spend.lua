-- Spends of several limits at once, all or none.
-- KEYS: per limit the counter of the window and of the window before.
-- ARGV: per limit: limit, cost, share of the window before that still counts (0 to 1), ms to keep the counter.
-- Returns the place of the first limit that has not enough left (0: all had), then what is left of each.
local refused = 0
local left = {}
for i = 1, #KEYS / 2 do
  local limit, cost, share = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2]), tonumber(ARGV[4 * i - 1])
  local used = tonumber(redis.call('GET', KEYS[2 * i - 1]) or '0')
  if share > 0 then
    used = used + math.floor(tonumber(redis.call('GET', KEYS[2 * i]) or '0') * share)
  end
  if used + cost > limit and refused == 0 then
    refused = i
  end
  left[i] = limit - used
end
if refused == 0 then
  for i = 1, #KEYS / 2 do
    local cost = tonumber(ARGV[4 * i - 2])
    if redis.call('INCRBY', KEYS[2 * i - 1], cost) == cost then
      redis.call('PEXPIRE', KEYS[2 * i - 1], ARGV[4 * i])
    end
    left[i] = left[i] - cost
  end
end
return {refused, unpack(left)}
