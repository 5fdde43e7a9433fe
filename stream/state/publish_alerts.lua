-- Appends published steps of alerts to the capped stream, each id once; -1 if their page is void.
-- Entry ids of the outbox would not do to tell: after a loss of data the same step stands in it under another.
-- KEYS[1]: the stream. KEYS[2]: hash of the ids in it to their entries. KEYS[3]: hash of the pages that were read last.
-- ARGV: length to keep, partition and token of the page, then record id and value of each step, oldest first.
local SWEPT = 1000 -- entries taken off the old end at most: more than one page adds

-- What was read before Redis lost data may be decided otherwise when the log is read again.
if redis.call('HGET', KEYS[3], ARGV[2]) ~= ARGV[3] then
  return -1
end

local appended = 0
for i = 4, #ARGV, 2 do
  if redis.call('HEXISTS', KEYS[2], ARGV[i]) == 0 then
    local entry = redis.call('XADD', KEYS[1], '*', 'id', ARGV[i], 'value', ARGV[i + 1])
    redis.call('HSET', KEYS[2], ARGV[i], entry)
    appended = appended + 1
  end
end

local length = redis.call('XLEN', KEYS[1])
local swept = math.min(length - tonumber(ARGV[1]), SWEPT)
if swept > 0 then
  local ids = {}
  for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', swept)) do
    ids[i] = entry[2][2]
  end
  redis.call('XTRIM', KEYS[1], 'MAXLEN', length - swept)
  redis.call('HDEL', KEYS[2], unpack(ids))
end
return appended
