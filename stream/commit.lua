-- One commit of one partition: everything, or nothing.
-- KEYS[1]: meta hash. ARGV[1]: prefix of the partition's keys. ARGV[2]: msgpack map, see stream/commit.py.
-- Other keys are built from the prefix; they carry the hash tag of KEYS[1], so they are on its node.
-- Answers {verdict, stored epoch}. All checks come before the first write: a script has no rollback.
local meta, prefix = KEYS[1], ARGV[1]
local c = cmsgpack.unpack(ARGV[2])
local call = redis.call

local epoch = tonumber(call('HGET', meta, 'epoch') or '0')
if epoch > c.epoch then return {'fenced', epoch} end
if epoch < c.epoch then return {'behind', epoch} end

local matching, applied = 0, 0
for i = 1, #c.offsets, 3 do
  local stored = tonumber(call('HGET', meta, 'off:' .. c.offsets[i]) or '-1')
  if stored == c.offsets[i + 1] then matching = matching + 1 end
  if stored == c.offsets[i + 2] then applied = applied + 1 end
end
local topics = #c.offsets / 3
if matching < topics then
  if applied == topics then return {'repeated', epoch} end
  return {'gap', epoch}
end

for i = 1, #c.offsets, 3 do
  if c.offsets[i + 1] ~= c.offsets[i + 2] then
    call('HSET', meta, 'off:' .. c.offsets[i], c.offsets[i + 2])
  end
end
for i = 1, #c.meta, 2 do call('HSET', meta, c.meta[i], c.meta[i + 1]) end
for i = 1, #c.counters, 2 do call('HINCRBY', meta, c.counters[i], c.counters[i + 1]) end

for i = 1, #c.visitors, 2 do
  call('SET', prefix .. 'v:' .. c.visitors[i], c.visitors[i + 1], 'EX', c.visitor_ttl_s)
end
for i = 1, #c.buckets, 2 do
  local keys, fields = c.buckets[i], c.buckets[i + 1]
  for k = 1, #keys, 2 do
    local key = prefix .. keys[k]
    for j = 1, #fields, 2 do call('HINCRBY', key, fields[j], fields[j + 1]) end
    call('EXPIRE', key, keys[k + 1])
  end
end
for i = 1, #c.trend, 3 do
  local key, scores = prefix .. 't:' .. c.trend[i], c.trend[i + 2]
  for j = 1, #scores, 2 do call('ZINCRBY', key, string.format('%.17g', scores[j + 1]), scores[j]) end
  call('EXPIRE', key, c.trend[i + 1])
end
for i = 1, #c.active, 2 do call('ZADD', prefix .. 'active', c.active[i + 1], c.active[i]) end
call('ZREMRANGEBYSCORE', prefix .. 'active', '-inf', '(' .. c.active_from_ms)
for i = 1, #c.timers, 2 do
  if c.timers[i + 1] == 0 then
    call('ZREM', prefix .. 'due', c.timers[i])
  else
    call('ZADD', prefix .. 'due', c.timers[i + 1], c.timers[i])
  end
end
for i = 1, #c.currencies do call('SADD', prefix .. 'currencies', c.currencies[i]) end
for i = 1, #c.outbox, 4 do
  call('XADD', prefix .. 'outbox', '*', 'topic', c.outbox[i], 'key', c.outbox[i + 1],
    'id', c.outbox[i + 2], 'value', c.outbox[i + 3])
end
return {'applied', epoch}
