-- Appends published steps of alerts to the capped stream, each outbox entry of a partition once.
-- KEYS[1]: the stream. KEYS[2]: hash of partition to its newest outbox entry in it.
-- ARGV: partition, length to keep, then entry id, record id and value of each entry, oldest first.
local function is_after(a, b)
  local a_ms, a_seq = string.match(a, '(%d+)-(%d+)')
  local b_ms, b_seq = string.match(b, '(%d+)-(%d+)')
  if a_ms ~= b_ms then return tonumber(a_ms) > tonumber(b_ms) end
  return tonumber(a_seq) > tonumber(b_seq)
end

local newest = redis.call('HGET', KEYS[2], ARGV[1]) or '0-0'
local appended = 0
for i = 3, #ARGV, 3 do
  if is_after(ARGV[i], newest) then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', ARGV[2], '*', 'id', ARGV[i + 1], 'value', ARGV[i + 2])
    newest = ARGV[i]
    appended = appended + 1
  end
end
redis.call('HSET', KEYS[2], ARGV[1], newest)
return appended
